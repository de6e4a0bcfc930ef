//! The examples of the RFCs: what they print is what comes out.

use super::super::key::ZoneKey;
use super::*;
use base64::Engine;

/// RFC 4035 appendix A and RFC 5155 appendix A have these in common.
const EXAMPLE: &str = r#"
@ 3600 SOA ns1 bugs.x.w 1 3600 300 3600000 3600
@ 3600 NS ns1
@ 3600 NS ns2
@ 3600 MX 1 xx
a 3600 NS ns1.a
a 3600 NS ns2.a
a 3600 DS 58470 5 1 3079F1593EBAD6DC121E202A8B766A6A4837206C
ns1.a 3600 A 192.0.2.5
ns2.a 3600 A 192.0.2.6
ai 3600 A 192.0.2.9
ai 3600 HINFO "KLH-10" "ITS"
ai 3600 AAAA 2001:db8::f00:baa9
ns1 3600 A 192.0.2.1
ns2 3600 A 192.0.2.2
*.w 3600 MX 1 ai
x.w 3600 MX 1 xx
x.y.w 3600 MX 1 xx
xx 3600 A 192.0.2.10
xx 3600 HINFO "KLH-10" "TOPS-20"
xx 3600 AAAA 2001:db8::f00:baaa
"#;

/// The lines of the zone file of one type, without the TTL and class.
fn lines(world: &SignedWorld, rtype: &str) -> Vec<String> {
    let file = world.zone_file(&name("example")).unwrap();
    let infix = format!(" 3600 IN {rtype} ");
    file.lines().filter(|line| line.contains(&infix)).map(|line| line.replace(&infix, " ")).collect()
}

/// The owners of the proofs in the response of the zone's server.
fn proofs(world: &SignedWorld, text: &str, rtype: Rtype) -> Vec<String> {
    let response = world.authority(&name("example"), &question(text, rtype), true);
    let proofs = response.authority.iter().filter(|set| matches!(set.rtype, Rtype::NSEC | Rtype::NSEC3));
    proofs.map(|set| set.owner.to_string()).collect()
}

#[test]
fn rfc_4035_appendices_a_and_b() {
    let delegation = "b 3600 NS ns1.b\nb 3600 NS ns2.b\nns1.b 3600 A 192.0.2.7\nns2.b 3600 A 192.0.2.8";
    let plan = ZonePlan::signed("example").records(EXAMPLE).records(delegation);
    let world = SignedWorld::builder().zone(plan).build();
    // Types stand in the order of their numbers here.
    let printed = [
        "example. a.example. NS SOA MX RRSIG NSEC DNSKEY",
        "a.example. ai.example. NS DS RRSIG NSEC",
        "ai.example. b.example. A TYPE13 AAAA RRSIG NSEC",
        "b.example. ns1.example. NS RRSIG NSEC",
        "ns1.example. ns2.example. A RRSIG NSEC",
        "ns2.example. *.w.example. A RRSIG NSEC",
        "*.w.example. x.w.example. MX RRSIG NSEC",
        "x.w.example. x.y.w.example. MX RRSIG NSEC",
        "x.y.w.example. xx.example. MX RRSIG NSEC",
        "xx.example. example. A TYPE13 AAAA RRSIG NSEC",
    ];
    assert_eq!(lines(&world, "NSEC"), printed);
    // B.2 to B.8.
    assert_eq!(proofs(&world, "ml.example", Rtype::A), ["b.example.", "example."]);
    assert_eq!(proofs(&world, "ns1.example", Rtype::MX), ["ns1.example."]);
    assert_eq!(proofs(&world, "mc.a.example", Rtype::MX), [""; 0]);
    assert_eq!(proofs(&world, "mc.b.example", Rtype::MX), ["b.example."]);
    assert_eq!(proofs(&world, "a.z.w.example", Rtype::MX), ["x.y.w.example."]);
    assert_eq!(proofs(&world, "a.z.w.example", Rtype::AAAA), ["x.y.w.example.", "*.w.example."]);
    assert_eq!(proofs(&world, "example", Rtype::DS), ["example."]);
    // A name without records of its own lies in the span before the first one below it.
    assert_eq!(proofs(&world, "y.w.example", Rtype::A), ["x.w.example."]);
}

#[test]
fn rfc_5155_appendices_a_and_b() {
    let more = "c 3600 NS ns1.c\nc 3600 NS ns2.c\nns1.c 3600 A 192.0.2.7\nns2.c 3600 A 192.0.2.8\n\
                2t7b4g4vsa5smi47k61mv5bv1a22bojr 3600 A 192.0.2.127";
    let plan = ZonePlan::signed("example").records(EXAMPLE).records(more);
    let world = SignedWorld::builder().zone(plan.nsec3_opt_out(12, &[0xaa, 0xbb, 0xcc, 0xdd])).build();
    let printed = [
        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA MX RRSIG DNSKEY TYPE51",
        "2t7b4g4vsa5smi47k61mv5bv1a22bojr 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG",
        "2vptu5timamqttgl4luu9kg21e0aor3s 35mthgpgcu1qg68fab165klnsnk3dpvl MX RRSIG",
        "35mthgpgcu1qg68fab165klnsnk3dpvl b4um86eghhds6nea196smvmlo4ors995 NS DS RRSIG",
        "b4um86eghhds6nea196smvmlo4ors995 gjeqe526plbf1g8mklp59enfd789njgi MX RRSIG",
        "gjeqe526plbf1g8mklp59enfd789njgi ji6neoaepv8b5o6k4ev33abha8ht9fgc A TYPE13 AAAA RRSIG",
        "ji6neoaepv8b5o6k4ev33abha8ht9fgc k8udemvp1j2f7eg6jebps17vp3n8i58h",
        "k8udemvp1j2f7eg6jebps17vp3n8i58h kohar7mbb8dc2ce8a9qvl8hon4k53uhi",
        "kohar7mbb8dc2ce8a9qvl8hon4k53uhi q04jkcevqvmu85r014c7dkba38o0ji5r A RRSIG",
        "q04jkcevqvmu85r014c7dkba38o0ji5r r53bq7cc2uvmubfu5ocmm6pers9tk9en A RRSIG",
        "r53bq7cc2uvmubfu5ocmm6pers9tk9en t644ebqk9bibcna874givr6joj62mlhv MX RRSIG",
        "t644ebqk9bibcna874givr6joj62mlhv 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A TYPE13 AAAA RRSIG",
    ];
    let made: Vec<_> =
        lines(&world, "NSEC3").iter().map(|line| line.replace(".example. 1 1 12 aabbccdd", "")).collect();
    assert_eq!(made, printed);
    let proofs = |text, rtype| -> BTreeSet<String> {
        proofs(&world, text, rtype).iter().map(|owner| owner[..4].to_owned()).collect()
    };
    let printed = |owners: &[&str]| owners.iter().map(|owner| (*owner).to_owned()).collect::<BTreeSet<_>>();
    // B.1 to B.6.
    assert_eq!(proofs("a.c.x.w.example", Rtype::A), printed(&["0p9m", "b4um", "35mt"]));
    assert_eq!(proofs("ns1.example", Rtype::MX), printed(&["2t7b"]));
    assert_eq!(proofs("y.w.example", Rtype::A), printed(&["ji6n"]));
    assert_eq!(proofs("mc.c.example", Rtype::MX), printed(&["35mt", "0p9m"]));
    assert_eq!(proofs("a.z.w.example", Rtype::MX), printed(&["q04j"]));
    assert_eq!(proofs("a.z.w.example", Rtype::AAAA), printed(&["k8ud", "q04j", "r53b"]));
    assert_eq!(proofs("example", Rtype::DS), printed(&["0p9m"]));
    // §7.2.8: that a hash is an owner does not make it a name. This one is a name too, another is not.
    let hash = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example";
    assert_eq!(world.respond(&question(hash, Rtype::NSEC3), true).rcode, Rcode::NXDOMAIN);
}

/// §6.1, with the signatures that its errata give in place of the printed ones.
#[test]
fn rfc_8080_signatures() {
    let examples = [
        (
            "ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=",
            "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
            "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
        ),
        (
            "DSSF3o0s0f+ElWzj9E/Osxw8hLpk55chkmx0LYN5WiY=",
            "zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=",
            "zXQ0bkYgQTEFyfLyi9QoiY6D8ZdYo4wyUhVioYZXFdT410QPRITQSqJSnzQoSm5poJ7gD7AQR0O7KuI5k2pcBg==",
        ),
    ];
    let decode = |text| base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    for (secret, public, signature) in examples {
        let key = ZoneKey::from_secret(Role::KeySigning, 15, &decode(secret)).unwrap();
        assert_eq!(key.dnskey()[4..], decode(public));
        let mx = text::entry("@ 3600 MX 10 mail", &name("example.com")).unwrap();
        let set = RrSet { owner: mx.owner, rtype: mx.rtype, ttl: mx.ttl, data: vec![mx.data], signatures: Vec::new() };
        let unsigned = Rrsig {
            type_covered: Rtype::MX,
            algorithm: 15,
            labels: 2,
            original_ttl: 3600,
            expiration: 1_440_021_600,
            inception: 1_438_207_200,
            key_tag: key.tag(),
            signer: name("example.com"),
            signature: Box::default(),
        };
        assert_eq!(*zone::signed_by(&key, unsigned, &set).signature, decode(signature));
    }
}
