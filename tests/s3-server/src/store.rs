//! Buckets and objects in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3s::dto::{
    Bucket as BucketEntry, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput,
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, ListBucketsInput,
    ListBucketsOutput, ListObjectsV2Input, ListObjectsV2Output, Object, PutObjectInput, PutObjectOutput,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use crate::server::{Options, REGION};

/// A bucket.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// Access key of its account.
    pub(crate) owner: String,
    pub(crate) keys: BTreeSet<String>,
    /// Whether removed objects remain as old versions, which no list shows.
    pub(crate) is_versioned: bool,
    pub(crate) has_versions: bool,
}

/// All of them.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    buckets: Arc<Mutex<BTreeMap<String, Bucket>>>,
    options: Options,
}

impl Store {
    pub(crate) fn new(options: Options) -> Self {
        Self { buckets: Arc::default(), options }
    }

    pub(crate) fn all(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on a bucket of the account that asks.
    fn own<T, I>(
        &self,
        request: &S3Request<I>,
        name: &str,
        work: impl FnOnce(&mut Bucket) -> T,
    ) -> S3Result<T> {
        let mut all = self.all();
        let bucket = all.get_mut(name).ok_or_else(|| s3_error!(NoSuchBucket))?;
        if bucket.owner == account(request)? { Ok(work(bucket)) } else { Err(s3_error!(AccessDenied)) }
    }
}

fn account<I>(request: &S3Request<I>) -> S3Result<String> {
    let credentials = request.credentials.as_ref();
    credentials.map(|credentials| credentials.access_key.clone()).ok_or_else(|| s3_error!(AccessDenied))
}

fn number(count: usize) -> Option<i32> {
    i32::try_from(count).ok()
}

#[async_trait::async_trait]
impl S3 for Store {
    async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let account = account(&request)?;
        let after = request.input.continuation_token.unwrap_or_default();
        let all = self.all();
        let mut own: Vec<String> = all
            .iter()
            .filter(|(name, bucket)| bucket.owner == account && **name > after)
            .map(|(name, _)| name.clone())
            .collect();
        let is_more = own.len() > self.options.page;
        own.truncate(self.options.page);
        let continuation_token = own.last().filter(|_| is_more).cloned();
        let buckets = own.into_iter().map(|name| BucketEntry { name: Some(name), ..BucketEntry::default() });
        let output = ListBucketsOutput {
            buckets: Some(buckets.collect()),
            continuation_token,
            ..ListBucketsOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let owner = account(&request)?;
        let configuration = request.input.create_bucket_configuration.unwrap_or_default();
        let constraint = configuration.location_constraint;
        if constraint.is_none_or(|region| region.as_str() != REGION) {
            return Err(s3_error!(InvalidLocationConstraint));
        }
        let mut all = self.all();
        match all.get(&request.input.bucket) {
            Some(bucket) if bucket.owner != owner => return Err(s3_error!(BucketAlreadyExists)),
            Some(_) if !self.options.makes_again => return Err(s3_error!(BucketAlreadyOwnedByYou)),
            Some(_) => {}
            None => {
                all.insert(request.input.bucket, Bucket { owner, ..Bucket::default() });
            }
        }
        Ok(S3Response::new(CreateBucketOutput::default()))
    }

    async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let is_full = |bucket: &mut Bucket| !bucket.keys.is_empty() || bucket.has_versions;
        if self.own(&request, &request.input.bucket, is_full)? {
            return Err(S3Error::new(s3s::S3ErrorCode::BucketNotEmpty));
        }
        self.all().remove(&request.input.bucket);
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = &request.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.clone().unwrap_or_default();
        let asked = input.max_keys.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let most = asked.min(self.options.page);
        let found = self.own(&request, &input.bucket, |bucket| {
            let keys = bucket.keys.iter().filter(|key| key.starts_with(&prefix) && **key > after);
            keys.take(most.saturating_add(1)).cloned().collect::<Vec<_>>()
        })?;
        let is_truncated = found.len() > most;
        let keys = &found[..found.len().min(most)];
        let object = |key: &String| Object { key: Some(key.clone()), size: Some(0), ..Object::default() };
        let output = ListObjectsV2Output {
            name: Some(input.bucket.clone()),
            key_count: number(keys.len()),
            max_keys: number(most),
            is_truncated: Some(is_truncated),
            next_continuation_token: keys.last().filter(|_| is_truncated).cloned(),
            contents: Some(keys.iter().map(object).collect()),
            ..ListObjectsV2Output::default()
        };
        Ok(S3Response::new(output))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let key = request.input.key.clone();
        self.own(&request, &request.input.bucket, |bucket| bucket.keys.insert(key))?;
        Ok(S3Response::new(PutObjectOutput::default()))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.own(&request, &request.input.bucket, |bucket| bucket.remove(&request.input.key))?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.own(&request, &request.input.bucket, |bucket| {
            for object in &request.input.delete.objects {
                bucket.remove(&object.key);
            }
        })?;
        Ok(S3Response::new(DeleteObjectsOutput::default()))
    }
}

impl Bucket {
    fn remove(&mut self, key: &str) {
        self.has_versions |= self.keys.remove(key) && self.is_versioned;
    }
}
