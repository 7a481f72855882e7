//! What someone waits for: it has a name, a deadline, and can be stopped at any point.

use std::time::Duration;

use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::time::Instant;

use super::HetznerError;

/// Stops operations, from any thread: what a handler of Ctrl-C calls.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Stops all operations that have this stopper's [`Stop`], now and later.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// What operations look at: any of some stoppers.
#[derive(Clone, Debug)]
pub struct Stop(Vec<watch::Receiver<bool>>);

impl Stop {
    /// Both ends.
    pub fn new() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(false);
        (Stopper(sender), Self(vec![receiver]))
    }

    /// One that never comes: for the clean-up after the one that came.
    pub const fn never() -> Self {
        Self(Vec::new())
    }

    /// Whether it came.
    pub fn is_stopped(&self) -> bool {
        self.0.iter().any(|receiver| *receiver.borrow())
    }

    /// Comes back once it came.
    async fn stopped(&self) {
        let each = self.0.iter().map(|receiver| {
            Box::pin(async {
                if receiver.clone().wait_for(|is_stopped| *is_stopped).await.is_err() {
                    // Nobody is left who could stop it.
                    std::future::pending::<()>().await;
                }
            })
        });
        let each: Vec<_> = each.collect();
        if each.is_empty() { std::future::pending().await } else { select_all(each).await.0 }
    }
}

/// An operation of one or many requests. Its clone shares the deadline.
#[derive(Clone, Debug)]
pub struct Operation {
    name: String,
    allowed: Duration,
    deadline: Instant,
    stop: Stop,
}

impl Operation {
    /// Begins now and may take as long as is `allowed`. `name` is for messages: `creating the servers`.
    pub fn new(name: impl Into<String>, allowed: Duration, stop: &Stop) -> Self {
        Self { name: name.into(), allowed, deadline: Instant::now() + allowed, stop: stop.clone() }
    }

    /// Part of it, which can be stopped by itself, too.
    pub fn part(&self) -> (Self, Stopper) {
        let (stopper, stop) = Stop::new();
        let mut part = self.clone();
        part.stop.0.extend(stop.0);
        (part, stopper)
    }

    /// What is left of its time.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Fails when it was stopped, or its time is over.
    pub fn check(&self) -> Result<(), HetznerError> {
        if self.stop.is_stopped() {
            return Err(self.stopped());
        }
        if self.left().is_zero() { Err(self.over(None)) } else { Ok(()) }
    }

    /// Runs `future` to its end, or drops it when the operation ends first.
    pub async fn run<T>(&self, future: impl Future<Output = T>) -> Result<T, HetznerError> {
        self.check()?;
        tokio::select! {
            biased;
            () = self.stop.stopped() => Err(self.stopped()),
            done = future => Ok(done),
            () = tokio::time::sleep_until(self.deadline) => Err(self.over(None)),
        }
    }

    /// Waits. Where the time will not suffice, it fails at once, by what it waits for to pass.
    pub async fn pause(&self, pause: Duration, waits_for: Option<HetznerError>) -> Result<(), HetznerError> {
        self.check()?;
        if pause >= self.left() {
            return Err(self.over(waits_for));
        }
        self.run(tokio::time::sleep(pause)).await
    }

    fn over(&self, last: Option<HetznerError>) -> HetznerError {
        let (operation, allowed) = (self.name.clone(), self.allowed);
        HetznerError::Deadline { operation, allowed, last: last.map(Box::new) }
    }

    fn stopped(&self) -> HetznerError {
        HetznerError::Stopped { operation: self.name.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    #[tokio::test]
    async fn a_part_is_stopped_by_itself_and_with_the_whole() {
        let (stopper, stop) = Stop::new();
        let operation = Operation::new("waiting", LONG, &stop);
        let ((one, stop_one), (other, _stop_other)) = (operation.part(), operation.part());
        stop_one.stop();
        assert!(one.run(std::future::pending::<()>()).await.is_err());
        assert!(other.check().is_ok() && operation.check().is_ok());
        stopper.stop();
        assert!(other.run(std::future::pending::<()>()).await.is_err());
    }

    #[tokio::test]
    async fn is_stopped_while_it_waits_from_another_thread() {
        let (stopper, stop) = Stop::new();
        let operation = Operation::new("waiting", LONG, &stop);
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            stopper.stop();
        });
        let error = operation.run(std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(error.to_string(), "waiting was interrupted");
        thread.join().unwrap();
        // The stopper is gone, its word stays.
        assert!(matches!(operation.check(), Err(HetznerError::Stopped { .. })));
        let cleanup = Operation::new("cleaning up", LONG, &Stop::never());
        assert_eq!(cleanup.run(async { 1 }).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn ends_at_its_deadline_and_no_earlier() {
        let operation = Operation::new("waiting", Duration::from_millis(30), &Stop::never());
        operation.pause(Duration::from_millis(1), None).await.unwrap();
        let error = operation.run(std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(error.to_string(), "waiting took longer than 30ms");
        assert!(operation.left().is_zero());
    }

    #[tokio::test]
    async fn a_pause_beyond_the_deadline_is_not_begun() {
        let operation = Operation::new("waiting", LONG, &Stop::never());
        let error = operation.pause(LONG * 2, None).await.unwrap_err();
        assert!(matches!(error, HetznerError::Deadline { allowed: LONG, .. }), "{error}");
        assert!(operation.left() > LONG / 2);
    }
}
