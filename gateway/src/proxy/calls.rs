//! What reaches a session beside its bytes: orders, policies, the recorder's
//! syncs, the clock's ticks, its hall's words.
//!
//! Calls are rare and bytes are not. So the wait for the next call lasts from
//! turn to turn instead of being begun and given up with each, and it is asked
//! only when its bell rang. Among calls that have come together orders go
//! first. What has been said once is not said again: an order that is being
//! obeyed, a hall that is gone.

use super::bell::{Bell, Bells};
use crate::hall::{NewChannel, ToSession};
use crate::policy::Applied;
use crate::presence::Asking;
use crate::record::Syncs;
use crate::sessions::EndOrder;
use session::EndCause;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use tokio::sync::{mpsc, watch};
use tokio::time::Interval;

/// Something that was said to the session.
#[derive(Debug)]
pub(super) enum Call {
    Ordered(EndOrder),
    PolicyApplied(Arc<Applied>),
    /// Whether requests are to be held back until the factor is shown.
    Asking(Asking),
    /// The recording's syncs have news.
    Synced,
    Tick,
    Channel(NewChannel),
    Ended(EndCause),
}

/// The wait for the next call.
pub(super) struct Calls {
    bell: Bell,
    next: Pin<Box<dyn Future<Output = (Call, Callers)> + Send>>,
}

/// Who calls.
pub(super) struct Callers {
    pub(super) order: watch::Receiver<Option<EndOrder>>,
    pub(super) policy: watch::Receiver<Arc<Applied>>,
    pub(super) asking: watch::Receiver<Asking>,
    pub(super) syncs: Syncs,
    pub(super) ticks: Interval,
    pub(super) from_hall: mpsc::Receiver<ToSession>,
    pub(super) gone: Gone,
}

/// Who is gone, which is said once.
#[derive(Debug, Default)]
pub(super) struct Gone {
    registry: bool,
    hall: bool,
}

impl Calls {
    pub(super) fn new(mut callers: Callers, bells: &Bells) -> Self {
        // An order that was given before anybody listened counts.
        callers.order.mark_changed();
        callers.asking.mark_changed();
        Self { bell: bells.hang(), next: Box::pin(callers.next()) }
    }

    /// The next call, if one has come.
    pub(super) fn poll(&mut self) -> Poll<Call> {
        let Self { bell, next } = self;
        let (call, callers) = ready!(bell.poll(|context| next.as_mut().poll(context)));
        self.next = Box::pin(callers.next());
        Poll::Ready(call)
    }
}

impl Callers {
    async fn next(mut self) -> (Call, Self) {
        let Self { order, policy, asking, syncs, ticks, from_hall, gone } = &mut self;
        let call = tokio::select! {
            biased;
            order = ordered(order), if !gone.registry => Call::Ordered(order.unwrap_or_else(|| {
                // It can't be asked whether to go on.
                gone.registry = true;
                EndOrder::Shutdown
            })),
            Ok(()) = asking.changed() => Call::Asking(*asking.borrow_and_update()),
            Ok(()) = policy.changed() => Call::PolicyApplied(Arc::clone(&policy.borrow_and_update())),
            () = syncs.changed() => Call::Synced,
            _ = ticks.tick() => Call::Tick,
            message = from_hall.recv(), if !gone.hall => match message {
                Some(ToSession::Channel(channel)) => Call::Channel(channel),
                Some(ToSession::Close) => Call::Ended(EndCause::ClientClosed),
                None => {
                    gone.hall = true;
                    Call::Ended(EndCause::SignInLost)
                }
            },
        };
        (call, self)
    }
}

/// The next order that is given; a hard one may follow a soft one. `None` when
/// the registry is gone.
async fn ordered(order: &mut watch::Receiver<Option<EndOrder>>) -> Option<EndOrder> {
    loop {
        order.changed().await.ok()?;
        let given = order.borrow_and_update().clone();
        if given.is_some() {
            return given;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Plant;
    use std::future::poll_fn;
    use std::time::Duration;
    use tokio::time::{interval, timeout};

    struct House {
        _plant: Plant,
        order: watch::Sender<Option<EndOrder>>,
        asking: watch::Sender<Asking>,
        hall: mpsc::Sender<ToSession>,
    }

    fn callers() -> (House, Callers) {
        let plant = Plant::new();
        let (order, ordered) = watch::channel(None);
        let (hall, from_hall) = mpsc::channel(16);
        let (asking, asked) = watch::channel(Asking::Nothing);
        let callers = Callers {
            order: ordered,
            policy: plant.office().policy.subscribe(),
            asking: asked,
            syncs: Syncs::none(),
            ticks: interval(Duration::from_millis(20)),
            from_hall,
            gone: Gone::default(),
        };
        (House { _plant: plant, order, asking, hall }, callers)
    }

    /// The calls that have come by the end of the third tick.
    async fn said(calls: &mut Calls, bells: &Bells) -> Vec<String> {
        let mut said = Vec::new();
        let mut ticks = 0;
        // Bounded, so that a call that repeats itself is shown and not waited out.
        while ticks < 3 && said.len() < 9 {
            let next = poll_fn(|context| {
                bells.answer(context);
                calls.poll()
            });
            match timeout(Duration::from_secs(60), next).await.unwrap() {
                Call::Tick => ticks += 1,
                Call::Ordered(order) => said.push(format!("{order:?}")),
                Call::Ended(cause) => said.push(cause.to_string()),
                Call::Asking(Asking::Nothing) => {}
                Call::Asking(Asking::Factor(due)) => said.push(due.to_string()),
                other @ (Call::PolicyApplied(_) | Call::Synced | Call::Channel(_)) => {
                    said.push(format!("{other:?}"));
                }
            }
        }
        said
    }

    #[tokio::test]
    async fn a_session_that_begins_while_the_factor_is_asked_for_hears_of_it() {
        let (house, callers) = callers();
        let due = session::Due::Idle(Duration::from_secs(900));
        house.asking.send_replace(Asking::Factor(due));
        let bells = Bells::default();
        let mut calls = Calls::new(Callers { asking: house.asking.subscribe(), ..callers }, &bells);
        assert_eq!(said(&mut calls, &bells).await, [due.to_string()]);
        house.asking.send_replace(Asking::Nothing);
        house.asking.send_replace(Asking::Factor(due));
        assert_eq!(said(&mut calls, &bells).await, [due.to_string()]);
    }

    #[tokio::test]
    async fn what_has_been_said_leaves_time_for_the_rest() {
        let (house, callers) = callers();
        let bells = Bells::default();
        let mut calls = Calls::new(callers, &bells);
        assert!(said(&mut calls, &bells).await.is_empty());
        house.order.send_replace(Some(EndOrder::Shutdown));
        house.hall.try_send(ToSession::Close).unwrap();
        drop(house.hall);
        let both = ["Shutdown", "closed by the technician", "the line to the technician was lost"];
        assert_eq!(said(&mut calls, &bells).await, both);
        assert!(said(&mut calls, &bells).await.is_empty());
        house.order.send_replace(Some(EndOrder::PersonDisabled));
        assert_eq!(said(&mut calls, &bells).await, ["PersonDisabled"], "a hard order follows a soft one");
        drop(house.order);
        assert_eq!(said(&mut calls, &bells).await, ["Shutdown"], "nobody is left to ask");
        assert!(said(&mut calls, &bells).await.is_empty());
    }
}
