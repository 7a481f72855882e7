//! What somebody meant who wrote a name that nothing has.

/// The candidate that `wrong` was probably meant to be: at most a third of its letters differ, capitals aside. Of several
/// that are as near, the first by alphabet.
pub fn did_you_mean<'candidates>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'candidates str>,
) -> Option<&'candidates str> {
    let wrong = wrong.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wrong, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| distance.saturating_mul(3) <= candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_the_nearest_name_only_when_near() {
        for (wrong, right) in [
            ("nmae", Some("name")),
            ("time_zone", Some("time-zone")),
            ("Endpoint", Some("endpoint")),
            ("ipt_REJCT", Some("ipt_REJECT")),
            ("zebra", None),
            ("gm", None),
        ] {
            let known = ["name", "time-zone", "endpoint", "ipt_REJECT", "gn"];
            assert_eq!(did_you_mean(wrong, known), right, "{wrong}");
        }
    }
}
