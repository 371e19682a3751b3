//! The pipeline beside a model of it, in random steps, with faults that heal and faults that never do.
//!
//! The model is a ledger of what the program emitted and of what the destination saw. It does not predict
//! the pipeline's choices; it checks after every step that each choice keeps the promises, and at the end
//! that everything that can be delivered is delivered and that `shutdown` keeps its time.
//!
//! Ids, jitter and the clock come from the test, so a failure replays from its seed alone.

mod destination;
mod ledger;
mod simulation;
mod steps;

use std::time::Duration;

use notify_testbed::proptest_cases;
use proptest::prelude::*;

use simulation::Simulation;
use steps::{PipelineSetup, PipelineStep, setup, step};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: proptest_cases(256),
        ..ProptestConfig::default()
    })]

    /// The pipeline keeps its promises at every step. Once the faults that heal are over, it delivers
    /// everything that can be delivered, and `shutdown` ends in time.
    #[test]
    fn the_pipeline_matches_its_model(
        setup in setup(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run(&setup, &steps);
    }
}

/// The same steps lead to the same attempts at the same times, so that a failure can be repeated.
#[test]
fn a_case_replays_from_its_seed() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    for _ in 0..20 {
        let case = (setup(), prop::collection::vec(step(), 60)).new_tree(&mut runner).unwrap();
        let (setup, steps) = case.current();
        assert_eq!(run(&setup, &steps), run(&setup, &steps));
    }
}

/// Runs one case on a paused clock; returns every attempt of every message with its time.
fn run(setup: &PipelineSetup, steps: &[PipelineStep]) -> Vec<destination::SentMessage> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut simulation = Simulation::new(setup);
        for step in steps {
            simulation.apply(step).await;
            simulation.check();
        }
        simulation.finish().await
    })
}

/// The longest wait after a failure.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
