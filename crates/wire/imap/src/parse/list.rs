//! LIST, LSUB and STATUS.

use super::{Cursor, EmptyList, Parser, Result, values};
use crate::command::{Command, List, ListReturn, ListSelect, StatusItem};

impl Parser<'_> {
    /// `list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]` (RFC 5258 §6)
    ///
    /// `mbox-or-pat = list-mailbox / patterns`, `patterns = "(" list-mailbox *(SP list-mailbox) ")"`
    pub(super) fn list(&mut self) -> Result<Command> {
        self.cursor.space()?;
        let mut select = None;
        if self.cursor.peek()? == b'(' {
            select = Some(self.list_select()?);
            self.cursor.space()?;
        }
        let octets = self.cursor.astring("a reference name")?;
        let reference = values::decode_name(&self.cursor, octets, self.names)?;
        self.cursor.space()?;
        let mut patterns = Vec::new();
        if self.cursor.eat(b'(')? {
            loop {
                patterns.push(self.list_mailbox()?);
                if self.cursor.eat(b')')? {
                    break;
                }
                self.cursor.expect(b' ', "a space or \")\"")?;
            }
        } else {
            patterns.push(self.list_mailbox()?);
        }
        let returns = if self.cursor.eat(b' ')? { Some(self.list_return()?) } else { None };
        Ok(Command::List(List { select, reference, patterns, returns }))
    }

    /// `list-select-opt = "SUBSCRIBED" / "REMOTE" / "RECURSIVEMATCH" / "SPECIAL-USE"` (RFC 5258 §6, RFC 6154 §6)
    fn list_select(&mut self) -> Result<ListSelect> {
        let mut select = ListSelect::default();
        self.cursor.list(EmptyList::Allowed, "selection options", |cursor| {
            let position = cursor.position();
            match cursor.keyword("a selection option")?.as_str() {
                "SUBSCRIBED" => select.subscribed = true,
                "REMOTE" => select.remote = true,
                "RECURSIVEMATCH" => select.recursive_match = true,
                "SPECIAL-USE" => select.special_use = true,
                _ => {
                    return Err(cursor.expected_at(position, "SUBSCRIBED, REMOTE, RECURSIVEMATCH or SPECIAL-USE"));
                }
            }
            Ok(())
        })?;
        // RFC 5258 §3.1: RECURSIVEMATCH modifies another option.
        if select.recursive_match && !select.subscribed && !select.special_use {
            return Err(self.cursor.bad_value("RECURSIVEMATCH without SUBSCRIBED or SPECIAL-USE"));
        }
        Ok(select)
    }

    /// `list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"`
    ///
    /// `return-option = "SUBSCRIBED" / "CHILDREN" / "SPECIAL-USE" / "STATUS" SP "(" status-att *(SP status-att) ")"`
    fn list_return(&mut self) -> Result<ListReturn> {
        if !self.cursor.eat_keyword("RETURN")? {
            return Err(self.cursor.expected("RETURN"));
        }
        self.cursor.space()?;
        let mut returns = ListReturn::default();
        self.cursor.list(EmptyList::Allowed, "return options", |cursor| {
            let position = cursor.position();
            match cursor.keyword("a return option")?.as_str() {
                "SUBSCRIBED" => returns.subscribed = true,
                "CHILDREN" => returns.children = true,
                "SPECIAL-USE" => returns.special_use = true,
                "STATUS" => {
                    cursor.space()?;
                    returns.status = status_items(cursor)?;
                }
                _ => return Err(cursor.expected_at(position, "SUBSCRIBED, CHILDREN, SPECIAL-USE or STATUS")),
            }
            Ok(())
        })?;
        Ok(returns)
    }

    /// `lsub = "LSUB" SP mailbox SP list-mailbox` (RFC 3501 §9)
    pub(super) fn lsub(&mut self) -> Result<Command> {
        self.cursor.space()?;
        let octets = self.cursor.astring("a reference name")?;
        let reference = values::decode_name(&self.cursor, octets, self.names)?;
        self.cursor.space()?;
        Ok(Command::Lsub { reference, pattern: self.list_mailbox()? })
    }

    /// `status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"`
    pub(super) fn status(&mut self) -> Result<Command> {
        let mailbox = self.mailbox_argument()?;
        self.cursor.space()?;
        Ok(Command::Status { mailbox, items: status_items(&mut self.cursor)? })
    }
}

fn status_items(cursor: &mut Cursor<'_>) -> Result<Vec<StatusItem>> {
    let mut items = Vec::new();
    cursor.list(EmptyList::Refused, "a list of status items", |cursor| {
        let position = cursor.position();
        let name = cursor.keyword("a status item")?;
        let item = StatusItem::NAMED.iter().find(|(known, _)| *known == name).map(|(_, item)| *item);
        let item = item.ok_or_else(|| cursor.expected_at(position, "a status item, such as MESSAGES"))?;
        if !items.contains(&item) {
            items.push(item);
        }
        Ok(())
    })?;
    Ok(items)
}
