//! What waits for one channel; when it is full, the oldest goes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::message::Message;

#[derive(Debug)]
pub(super) struct Queue {
    most: usize,
    waiting: Mutex<VecDeque<Queued>>,
    came: Notify,
}

#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) message: Arc<Message>,
    pub(super) at: Instant,
}

impl Queue {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            waiting: Mutex::default(),
            came: Notify::new(),
        }
    }

    /// Puts a message at the end; gives back the one that had to go.
    pub(super) fn push(&self, message: Arc<Message>) -> Option<Arc<Message>> {
        let mut waiting = self.waiting();
        let lost = if waiting.len() >= self.most {
            waiting.pop_front()
        } else {
            None
        };
        waiting.push_back(Queued {
            message,
            at: Instant::now(),
        });
        self.came.notify_one();
        lost.map(|lost| lost.message)
    }

    /// Takes the first, as soon as there is one. For one reader.
    pub(super) async fn pop(&self) -> Queued {
        loop {
            if let Some(queued) = self.try_pop() {
                return queued;
            }
            self.came.notified().await;
        }
    }

    /// Takes the first, if there is one.
    pub(super) fn try_pop(&self) -> Option<Queued> {
        self.waiting().pop_front()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Queued>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMs;

    #[tokio::test]
    async fn first_in_first_out_and_the_oldest_goes_when_full() {
        let queue = Queue::new(2);
        let message = |ms| Arc::new(Message::test(UnixMs(ms)));
        assert!(queue.push(message(1)).is_none());
        assert!(queue.push(message(2)).is_none());
        assert_eq!(queue.push(message(3)), Some(message(1)));
        assert_eq!(queue.pop().await.message, message(2));
        assert_eq!(queue.pop().await.message, message(3));
        assert!(queue.try_pop().is_none());
        let (popped, _) = tokio::join!(queue.pop(), async { queue.push(message(4)) });
        assert_eq!(popped.message, message(4));
    }
}
