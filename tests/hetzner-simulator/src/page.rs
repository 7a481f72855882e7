//! Lists: filtered, sorted, page by page.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::input::LARGEST as LARGEST_NUMBER;
use crate::label::Selector;
use crate::serve::query::Query;

const DEFAULT: usize = 25;
const LARGEST: usize = 50;

/// What a list can be asked for besides its page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Name of the list in the answer.
    pub(crate) name: &'static str,
    /// Fields to sort by.
    pub(crate) sort: &'static [&'static str],
    /// Fields to filter by, with the values that exist; none means any.
    pub(crate) filters: &'static [(&'static str, &'static [&'static str])],
    pub(crate) has_labels: bool,
}

/// A page and where it is.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) body: Value,
    /// Relation and page of each link.
    pub(crate) links: Vec<(&'static str, usize)>,
}

/// Chooses what `query` asks for.
pub(crate) fn list(shape: &Shape, query: &Query, mut items: Vec<Value>) -> Result<Page, ApiError> {
    for (field, known) in shape.filters {
        let wanted: Vec<&str> = query.all(field).collect();
        if let Some(other) = wanted.iter().find(|value| !known.is_empty() && !known.contains(value)) {
            return Err(ApiError::invalid(field, format!("`{other}` is none of {}", known.join(", "))));
        }
        let is_wanted = |item: &Value| match &item[*field] {
            Value::String(text) => wanted.contains(&text.as_str()),
            other => wanted.contains(&other.to_string().as_str()),
        };
        items.retain(|item| wanted.is_empty() || is_wanted(item));
    }
    if shape.has_labels
        && let Some(text) = query.get("label_selector")
    {
        let selector = Selector::parse(text)?;
        items.retain(|item| {
            let labels = item["labels"].as_object().into_iter().flatten();
            selector.matches(&labels.map(|(key, value)| (key.clone(), as_text(value))).collect())
        });
    }
    let mut order = Vec::new();
    for text in query.all("sort").flat_map(|text| text.split(',')) {
        let (field, direction) = text.split_once(':').unwrap_or((text, "asc"));
        if !shape.sort.contains(&field) || !matches!(direction, "asc" | "desc") {
            return Err(ApiError::invalid("sort", format!("`{text}` can't be sorted by")));
        }
        order.push((field, direction == "desc"));
    }
    items.sort_by(|one, other| compare(&order, one, other));
    cut(shape.name, query, items)
}

fn as_text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn compare(order: &[(&str, bool)], one: &Value, other: &Value) -> Ordering {
    order.iter().fold(Ordering::Equal, |so_far, (field, is_descending)| {
        let next = match (one[*field].as_u64(), other[*field].as_u64()) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => as_text(&one[*field]).cmp(&as_text(&other[*field])),
        };
        so_far.then(if *is_descending { next.reverse() } else { next })
    })
}

fn cut(name: &str, query: &Query, items: Vec<Value>) -> Result<Page, ApiError> {
    let number = |field: &str, default: usize| match query.get(field) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .filter(|number| (1..=LARGEST_NUMBER).contains(number))
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| ApiError::invalid(field, format!("`{text}` is no number above 0"))),
    };
    let (page, size) = (number("page", 1)?, number("per_page", DEFAULT)?.min(LARGEST));
    let total = items.len();
    let last = total.div_ceil(size).max(1);
    let previous = page.checked_sub(1).filter(|previous| *previous > 0).map(|previous| previous.min(last));
    let next = page.checked_add(1).filter(|next| *next <= last);
    let start = (page - 1).saturating_mul(size);
    let shown: Vec<Value> = items.into_iter().skip(start).take(size).collect();
    let links = [("prev", previous), ("next", next), ("last", Some(last))];
    Ok(Page {
        body: json!({
            name: shown,
            "meta": {"pagination": {
                "page": page, "per_page": size, "previous_page": previous, "next_page": next,
                "last_page": last, "total_entries": total,
            }},
        }),
        links: links.into_iter().filter_map(|(relation, page)| Some((relation, page?))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        name: "things",
        sort: &["id", "name"],
        filters: &[("name", &[]), ("status", &["on", "off"])],
        has_labels: true,
    };

    fn ask(query: &str, count: u64) -> Result<(Vec<u64>, Page), ApiError> {
        let items = (1..=count)
            .map(|id| {
                let status = if id % 2 == 0 { "on" } else { "off" };
                json!({"id": id, "name": format!("n{}", id % 3), "status": status, "labels": {"odd": status}})
            })
            .collect();
        let page = list(&SHAPE, &Query::parse(query), items)?;
        let ids = page.body["things"].as_array().unwrap().iter().map(|item| item["id"].as_u64().unwrap());
        Ok((ids.collect(), page))
    }

    #[test]
    fn pages_are_cut_and_linked() {
        let (ids, page) = ask("", 60).unwrap();
        assert_eq!(ids, (1..=25).collect::<Vec<_>>());
        assert_eq!(
            page.body["meta"]["pagination"],
            json!({"page": 1, "per_page": 25, "previous_page": null, "next_page": 2, "last_page": 3, "total_entries": 60})
        );
        assert_eq!(page.links, [("next", 2), ("last", 3)]);
        let (ids, page) = ask("page=3", 60).unwrap();
        assert_eq!(ids, (51..=60).collect::<Vec<_>>());
        assert_eq!(page.links, [("prev", 2), ("last", 3)]);
        // No page is larger than 50; one behind the last is empty.
        assert_eq!(ask("per_page=100", 60).unwrap().0.len(), 50);
        assert!(ask("page=9", 60).unwrap().0.is_empty());
        assert_eq!(ask("", 0).unwrap().1.body["meta"]["pagination"]["last_page"], 1);
        for query in ["page=0", "page=x", "per_page=-1"] {
            assert_eq!(ask(query, 1).unwrap_err().code, "invalid_input", "{query}");
        }
    }

    #[test]
    fn lists_are_filtered_and_sorted() {
        assert_eq!(ask("status=on&name=n1", 9).unwrap().0, [4]);
        assert_eq!(ask("status=on&status=off", 3).unwrap().0, [1, 2, 3]);
        assert_eq!(ask("label_selector=odd%3Don", 4).unwrap().0, [2, 4]);
        assert_eq!(ask("sort=name:desc&sort=id", 5).unwrap().0, [2, 5, 1, 4, 3]);
        assert_eq!(ask("sort=id:desc", 3).unwrap().0, [3, 2, 1]);
        for query in ["sort=status", "sort=id:up", "status=broken", "label_selector=a%20b"] {
            assert_eq!(ask(query, 1).unwrap_err().code, "invalid_input", "{query}");
        }
    }
}
