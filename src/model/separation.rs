//! Whether users can be kept to the gateways that they name. Nodes of several gateways that prove themselves by the same path
//! secret cannot be told apart: who may use one of them is let in on all. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// How many users are named for one gateway.
const NAMED: usize = 3;

/// Gateways of which nodes share a path secret: each with the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sharing(BTreeMap<String, BTreeSet<String>>);

impl Sharing {
    /// Compares the path secrets of nodes, each given with the name of its gateway.
    pub fn of<'a, T: PartialEq>(nodes: impl IntoIterator<Item = (&'a str, T)>) -> Self {
        let mut by_secret: Vec<(T, BTreeSet<&str>)> = Vec::new();
        for (gateway, secret) in nodes {
            match by_secret.iter_mut().find(|(known, _)| *known == secret) {
                Some((_, gateways)) => drop(gateways.insert(gateway)),
                None => by_secret.push((secret, [gateway].into())),
            }
        }
        let mut sharing = Self::default();
        for (_, gateways) in by_secret.iter().filter(|(_, gateways)| gateways.len() > 1) {
            for gateway in gateways {
                let others = gateways.iter().filter(|other| *other != gateway);
                let known = sharing.0.entry((*gateway).to_owned()).or_default();
                known.extend(others.map(|&other| other.to_owned()));
            }
        }
        sharing
    }

    /// Whether every gateway has secrets of its own.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The gateways on which users are let in although they do not name them, or to which they cannot be kept: each with what is
    /// to be said of it. The sentence names a few users, and stays the same while others come and go.
    #[must_use]
    pub fn not_enforced(&self, users: &Naming) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for (gateway, others) in &self.0 {
            let names_some_of_them = |named: &BTreeSet<String>| {
                let all = named.contains(gateway) && others.is_subset(named);
                let none = !named.contains(gateway) && others.is_disjoint(named);
                !all && !none
            };
            let concerned = users.0.iter().filter(|(named, _)| names_some_of_them(named));
            let mut names: BTreeSet<&String> = concerned.flat_map(|(_, users)| users).collect();
            let Some(first) = names.pop_first() else { continue };
            let more = names.len() >= NAMED;
            let names = names.into_iter().take(NAMED - 1);
            let mut shown = names.fold(first.clone(), |shown, name| format!("{shown}, {name}"));
            if more {
                shown.push_str(" and others");
            }
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            found.insert(
                gateway.clone(),
                format!(
                    "its nodes ask with the same authToken as those of {}, so that spec.gateways cannot keep anybody to one of them: \
                     {shown} can log in on all. Give the nodes of each gateway an authToken of their own",
                    others.join(", ")
                ),
            );
        }
        found
    }
}

/// Users by the gateways that they name: of each set of gateways the first few.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Naming(BTreeMap<BTreeSet<String>, BTreeSet<String>>);

impl Naming {
    /// Adds a user who names these gateways.
    pub fn add(&mut self, user: &str, gateways: impl IntoIterator<Item = impl Into<String>>) {
        let gateways: BTreeSet<String> = gateways.into_iter().map(Into::into).collect();
        let users = self.0.entry(gateways).or_default();
        let is_among_the_first = users.len() <= NAMED || users.last().is_some_and(|last| user < last.as_str());
        if is_among_the_first {
            users.insert(user.to_owned());
            if users.len() > NAMED + 1 {
                users.pop_last();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sharing() -> Sharing {
        Sharing::of([
            ("default", "common"),
            ("spare", "common"),
            ("spare", "own"),
            ("lab", "lab"),
        ])
    }

    fn told(users: &[(&str, &[&str])]) -> Vec<(String, String)> {
        let mut naming = Naming::default();
        for (user, gateways) in users {
            naming.add(user, gateways.iter().copied());
        }
        sharing().not_enforced(&naming).into_iter().collect()
    }

    #[test]
    fn nobody_is_spoken_of_who_names_all_or_none_of_the_gateways_that_share() {
        assert!(Sharing::of([("default", 1), ("default", 1), ("spare", 2)]).is_empty());
        assert_eq!(told(&[]), []);
        assert_eq!(told(&[("anna", &["default", "spare"]), ("bert", &["lab"])]), []);
    }

    #[test]
    fn who_names_only_one_of_the_gateways_that_share_is_named_at_both() {
        let found = told(&[("anna", &["default", "lab"])]);
        assert_eq!(
            found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["default", "spare"]
        );
        assert!(
            found[0].1.contains("as those of spare,") && found[0].1.contains(": anna can"),
            "{found:?}"
        );
    }

    #[test]
    fn a_crowd_is_named_by_its_first_few_whatever_the_order_and_however_many_follow() {
        let names = ["u3", "u1", "u4", "u2", "u5"];
        for turn in 0..names.len() {
            let mut turned = names.to_vec();
            turned.rotate_left(turn);
            for count in 4..=names.len() {
                let users: Vec<(&str, &[&str])> = turned.iter().map(|&name| (name, &["default"] as &[&str])).collect();
                let rest: Vec<&str> = users[..count].iter().map(|(name, _)| *name).collect();
                let mut first = rest.clone();
                first.sort_unstable();
                let wanted = format!(": {} and others can", first[..3].join(", "));
                assert!(told(&users[..count])[0].1.contains(&wanted), "{rest:?}");
            }
        }
    }
}
