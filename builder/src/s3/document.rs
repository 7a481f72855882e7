//! The documents of S3 that are read, by the name of their root: a page of somebody's proxy is none of them.

use quick_xml::DeError;
use serde::{Deserialize, Serialize};

/// What answers say.
#[derive(Debug, Deserialize)]
pub(super) enum Document {
    /// To `ListBuckets`.
    ListAllMyBucketsResult(BucketList),
    /// To `ListObjectsV2`.
    ListBucketResult(ObjectList),
    /// To `DeleteObjects`.
    DeleteResult(Deleted),
    /// To anything.
    Error(Fault),
}

/// Buckets of an account.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BucketList {
    pub(super) buckets: Buckets,
    #[serde(default)]
    pub(super) continuation_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Buckets {
    #[serde(default, rename = "Bucket")]
    pub(super) all: Vec<Bucket>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Bucket {
    pub(super) name: String,
}

/// Objects of a bucket.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ObjectList {
    #[serde(default)]
    pub(super) contents: Vec<Object>,
    pub(super) is_truncated: bool,
    #[serde(default)]
    pub(super) next_continuation_token: Option<String>,
}

/// One of them; the same form names one that is to be removed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Object {
    pub(super) key: String,
}

/// What was not removed.
#[derive(Debug, Deserialize)]
pub(super) struct Deleted {
    #[serde(default, rename = "Error")]
    pub(super) errors: Vec<Fault>,
}

/// Why not.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Fault {
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
    /// Where a bucket is, of one that is asked for elsewhere.
    #[serde(default)]
    pub(super) region: Option<String>,
    /// Which object, of many.
    #[serde(default)]
    pub(super) key: Option<String>,
}

/// What a bucket is made with.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateBucketConfiguration<'a> {
    #[serde(rename = "@xmlns")]
    namespace: &'static str,
    location_constraint: &'a str,
}

/// What is removed, and that only faults are told.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Delete<'a> {
    #[serde(rename = "@xmlns")]
    namespace: &'static str,
    quiet: bool,
    object: &'a [Object],
}

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

impl<'a> CreateBucketConfiguration<'a> {
    pub(super) const fn new(region: &'a str) -> Self {
        Self { namespace: NAMESPACE, location_constraint: region }
    }
}

impl<'a> Delete<'a> {
    pub(super) const fn new(objects: &'a [Object]) -> Self {
        Self { namespace: NAMESPACE, quiet: true, object: objects }
    }
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self, DeError> {
        quick_xml::de::from_str(text)
    }
}

/// As the body of a request.
pub(super) fn body(document: &impl Serialize) -> Vec<u8> {
    quick_xml::se::to_string(document).expect("requests have nothing that is no XML").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_may_be_empty_and_have_more_than_is_known() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>1</ID></Owner>
<Buckets><Bucket><Name>a</Name><CreationDate>2026-01-01T00:00:00Z</CreationDate></Bucket>
<Bucket><Name>b</Name></Bucket></Buckets></ListAllMyBucketsResult>"#;
        let Ok(Document::ListAllMyBucketsResult(list)) = Document::parse(text) else { panic!("{text}") };
        let names: Vec<_> = list.buckets.all.into_iter().map(|bucket| bucket.name).collect();
        assert_eq!((names, list.continuation_token), (vec!["a".to_owned(), "b".to_owned()], None));
        let empty = "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>";
        assert!(
            matches!(Document::parse(empty), Ok(Document::ListAllMyBucketsResult(list)) if list.buckets.all.is_empty())
        );
        let objects = "<ListBucketResult><Name>a</Name><IsTruncated>true</IsTruncated>\
            <Contents><Key>a&lt;b</Key><Size>0</Size></Contents>\
            <NextContinuationToken>x+/=</NextContinuationToken></ListBucketResult>";
        let Ok(Document::ListBucketResult(list)) = Document::parse(objects) else { panic!("{objects}") };
        assert!(list.is_truncated);
        assert_eq!(
            (list.contents[0].key.as_str(), list.next_continuation_token.as_deref()),
            ("a<b", Some("x+/="))
        );
    }

    #[test]
    fn what_is_none_of_them_is_refused() {
        for text in [
            "",
            "<html><body>502</body></html>",
            "{}",
            "<ListAllMyBucketsResult>",
            "<ListAllMyBucketsResult/>",
            "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
            "<Error><Message>why</Message></Error>",
        ] {
            assert!(Document::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn bodies_are_escaped() {
        let text = |body: Vec<u8>| String::from_utf8(body).unwrap();
        assert_eq!(
            text(body(&CreateBucketConfiguration::new("fsn1"))),
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>fsn1</LocationConstraint></CreateBucketConfiguration>"
        );
        let objects = [Object { key: "a&b".to_owned() }, Object { key: "c".to_owned() }];
        assert_eq!(
            text(body(&Delete::new(&objects))),
            "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>\
             <Object><Key>a&amp;b</Key></Object><Object><Key>c</Key></Object></Delete>"
        );
    }
}
