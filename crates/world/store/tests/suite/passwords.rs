//! Passwords and what is derived from them.

use mailstead_names::Secret;
use mailstead_sasl::ScramHash;
use mailstead_store::{Error, Keep, SCRAM_ITERATIONS, WeakVerifiers};

use crate::support::on_both;

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

on_both! {
    async fn the_right_password_and_only_that(place: &Place) {
        let (store, account) = place.with_account().await;
        let you = account.id();
        assert!(!store.verify_password(Some(you), &secret("correct horse")).await.expect("verified"));
        store.set_password(you, &secret("correct horse"), WeakVerifiers::default()).await.expect("set");
        assert!(store.verify_password(Some(you), &secret("correct horse")).await.expect("verified"));
        assert!(!store.verify_password(Some(you), &secret("Correct horse")).await.expect("verified"));
        assert!(!store.verify_password(None, &secret("correct horse")).await.expect("verified"));
        // RFC 8265 §4.2: another space is a space, and composed equals decomposed.
        assert!(store.verify_password(Some(you), &secret("correct\u{a0}horse")).await.expect("verified"));
        store.set_password(you, &secret("battery staple"), WeakVerifiers::default()).await.expect("set");
        assert!(!store.verify_password(Some(you), &secret("correct horse")).await.expect("verified"));
        place.check_and_close(store).await;
    }

    async fn unusable_passwords_are_refused(place: &Place) {
        let (store, account) = place.with_account().await;
        let you = account.id();
        for bad in ["", "seven77", "has\u{7}control"] {
            let refused = store.set_password(you, &secret(bad), WeakVerifiers::default()).await;
            assert!(matches!(refused, Err(Error::Password(_))), "{bad}: {refused:?}");
        }
        place.check_and_close(store).await;
    }

    async fn scram_always_and_the_weak_ones_when_asked(place: &Place) {
        let (store, account) = place.with_account().await;
        let you = account.id();
        store.set_password(you, &secret("correct horse"), WeakVerifiers::default()).await.expect("set");
        let verifier = store.scram_verifier(you, ScramHash::Sha256).await.expect("read").expect("kept");
        assert_eq!(verifier.iterations, SCRAM_ITERATIONS);
        let fake = store.fake_scram_verifier("you", ScramHash::Sha256).await.expect("made");
        assert_eq!((fake.iterations, fake.salt.len()), (verifier.iterations, verifier.salt.len()));
        assert!(store.scram_verifier(you, ScramHash::Sha1).await.expect("read").is_none());
        assert!(store.cram_md5_secret(you).await.expect("read").is_none());
        let weak = WeakVerifiers { scram_sha_1: Keep::Yes, cram_md5: Keep::Yes };
        store.set_password(you, &secret("correct horse"), weak).await.expect("set");
        assert!(store.scram_verifier(you, ScramHash::Sha1).await.expect("read").is_some());
        assert!(store.cram_md5_secret(you).await.expect("read").is_some());
        store.set_password(you, &secret("correct horse"), WeakVerifiers::default()).await.expect("set");
        assert!(store.cram_md5_secret(you).await.expect("read").is_none());
        place.check_and_close(store).await;
    }

    async fn fake_verifiers_stay_the_same_over_a_restart(place: &Place) {
        let store = place.open().await;
        let before = store.fake_scram_verifier("nobody", ScramHash::Sha256).await.expect("made");
        let other = store.fake_scram_verifier("noone", ScramHash::Sha256).await.expect("made");
        assert_ne!(before.salt, other.salt);
        store.close().await;
        drop(store);
        let store = place.open().await;
        assert!(before == store.fake_scram_verifier("nobody", ScramHash::Sha256).await.expect("made"));
        place.check_and_close(store).await;
    }
}
