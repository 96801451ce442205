//! Same bits: threads, interruptions; and stopping.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tenor_domain::{Error, ErrorKind};
use tenor_features::Stop;
use tenor_features::arrays::{Array, Arrays};
use tenor_learn::{Checkpoints, FitContext};

use super::*;

#[test]
fn the_threads_do_not_change_a_bit() {
    let data = clouds(1_500, 37, 3, 2);
    let given =
        json!({"max_iter": 4, "dropout": 0.2, "hidden_layer_sizes": [150, 40], "batch_size": 330, "alpha": 0.1});
    let run = |threads: usize, seed: u64| {
        let context = FitContext { threads, ..FitContext::quiet(seed) };
        bits(&context.in_pool(|| fit(&data, 3, given.clone(), &context)).unwrap())
    };
    let one = run(1, 7);
    for threads in [2, 3, 5] {
        assert!(run(threads, 7) == one, "{threads} threads");
    }
    assert!(fit(&data, 3, given.clone(), &FitContext::quiet(7)).map(|mlp| bits(&mlp)).unwrap() == one, "global pool");
    assert!(run(2, 8) != one, "the seed plays no part");
}

/// Keeps every state.
#[derive(Default)]
struct Kept(Mutex<Vec<Arrays>>, Option<Arrays>);

impl Checkpoints for Kept {
    fn load(&self) -> Result<Option<Arrays>, Error> {
        Ok(self.1.clone())
    }
    fn due(&self) -> bool {
        true
    }
    fn save(&self, state: &Arrays) -> Result<(), Error> {
        self.0.lock().unwrap().push(state.clone());
        Ok(())
    }
}

#[test]
fn a_resumed_fit_ends_in_the_same_bits() {
    let data = clouds(400, 10, 2, 3);
    for given in [
        json!({"max_iter": 12, "dropout": 0.1, "learning_rate_init": 0.01, "n_iter_no_change": 3}),
        json!({"max_iter": 5, "early_stopping": false, "optimizer": "adamw", "alpha": 0.5}),
    ] {
        let kept = Kept::default();
        let context = FitContext { checkpoints: Some(&kept), ..FitContext::quiet(5) };
        let whole = fit(&data, 2, given.clone(), &context).unwrap();
        assert_eq!(whole, fit(&data, 2, given.clone(), &FitContext::quiet(5)).unwrap());
        let states = kept.0.into_inner().unwrap();
        assert!(states.len() > 3);
        for (epoch, state) in states.iter().enumerate() {
            let resume = Kept(Mutex::default(), Some(state.clone()));
            let context = FitContext { checkpoints: Some(&resume), ..FitContext::quiet(5) };
            assert!(bits(&fit(&data, 2, given.clone(), &context).unwrap()) == bits(&whole), "after epoch {epoch}");
            assert_eq!(resume.0.lock().unwrap().len(), states.len() - epoch - 1);
        }
        // A state of another fit is of no use and does no harm.
        let mut damaged = states[0].clone();
        damaged.insert("mlp.state.first", Array::F32(vec![0.0]));
        let resume = Kept(Mutex::default(), Some(damaged));
        let context = FitContext { checkpoints: Some(&resume), ..FitContext::quiet(5) };
        assert_eq!(fit(&data, 2, given, &context).unwrap(), whole);
    }
}

#[test]
fn a_wish_to_stop_is_honoured_at_every_check() {
    let data = clouds(500, 5, 2, 1);
    let run = |stop: &(dyn Fn() -> bool + Sync)| {
        let context = FitContext { stop: Stop::when(stop), ..FitContext::quiet(1) };
        fit(&data, 2, json!({"max_iter": 4}), &context).map(|_| ())
    };
    let calls = AtomicUsize::new(0);
    let count = || {
        calls.fetch_add(1, Ordering::Relaxed);
        false
    };
    run(&count).unwrap();
    for after in 0..calls.load(Ordering::Relaxed) {
        let left = AtomicUsize::new(after);
        let stop = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err();
        assert_eq!(run(&stop).unwrap_err().kind, ErrorKind::Cancelled, "{after}");
    }
}

#[test]
fn cancelling_the_largest_network_takes_less_than_two_seconds() {
    let data = clouds(6_000, 300, 5, 1);
    let given = json!({"hidden_layer_sizes": [2_048, 2_048, 2_048, 2_048], "batch_size": 4_096, "dropout": 0.5});
    let stopped = AtomicBool::new(false);
    let stop = || stopped.load(Ordering::Relaxed);
    let context = FitContext { stop: Stop::when(&stop), ..FitContext::quiet(1) };
    let took = std::thread::scope(|scope| {
        let timer = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(1_000));
            stopped.store(true, Ordering::Relaxed);
            Instant::now()
        });
        let error = fit(&data, 5, given, &context).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Cancelled);
        timer.join().unwrap().elapsed()
    });
    assert!(took < Duration::from_secs(2), "{took:?}");
}
