//! Injection of the planned faults. Each function heals its fault before it returns, and returns
//! how often the fault occurred.

use std::thread::sleep;
use std::time::{Duration, Instant};

use fastrand::Rng;
use notify_testbed::proxy::{Direction, Disconnect, Proxy};
use notify_testbed::wait::wait_until;

use crate::environment::{QUEUES, TrialEnvironment};
use crate::fault::ChaosFault;
use crate::plan::PlannedFault;
use crate::producer_handle::ProducerHandle;
use crate::producer_host::NameResolution;

/// Injects a fault of the link, the broker or the disk.
///
/// # Panics
///
/// Panics if the fault belongs to the producer.
pub(crate) fn inject(planned: &PlannedFault, environment: &TrialEnvironment<'_>) -> u64 {
    sleep(planned.start);
    let length = planned.length;
    let rng = &mut Rng::with_seed(planned.seed);
    let (broker, proxy) = (&environment.run.broker, &environment.run.proxy);
    let host = &environment.run.host;
    match planned.fault {
        ChaosFault::Cut => return cut(proxy, length, rng),
        ChaosFault::Stall => {
            for &direction in some_directions(rng) {
                proxy.stall(direction);
            }
            sleep(length);
            proxy.heal();
        }
        ChaosFault::Slice => {
            for direction in DIRECTIONS {
                proxy.slice(direction, 1);
            }
            sleep(length);
            proxy.heal();
        }
        ChaosFault::Delay => {
            let time = Duration::from_millis(rng.u64(50..=2_000));
            for &direction in some_directions(rng) {
                proxy.delay(direction, time);
            }
            sleep(length);
            proxy.heal();
        }
        ChaosFault::HalfClose => {
            proxy.half_close(one_direction(rng));
            sleep(length);
            proxy.heal();
        }
        ChaosFault::Refuse => {
            proxy.refuse();
            proxy.cut(Disconnect::Reset);
            sleep(length);
            proxy.accept();
        }
        ChaosFault::BlackHole => {
            host.cut_off();
            sleep(length);
            host.reconnect();
        }
        ChaosFault::Dns => {
            let missing = rng.bool();
            host.set_resolution(if missing {
                NameResolution::Missing
            } else {
                NameResolution::Wrong
            });
            proxy.cut(Disconnect::Reset);
            sleep(length);
            host.set_resolution(NameResolution::Correct);
        }
        ChaosFault::BrokerKill => {
            broker.kill();
            sleep(length / 4);
            broker.restart();
        }
        ChaosFault::BrokerFreeze => {
            broker.freeze();
            sleep(length);
            broker.unfreeze();
        }
        ChaosFault::BrokerRestart => broker.restart(),
        ChaosFault::BrokerStopApp => {
            broker.stop_application();
            sleep(length / 4);
            broker.start_application();
        }
        ChaosFault::Alarm => {
            broker.raise_alarm();
            sleep(length);
            broker.clear_alarm();
        }
        ChaosFault::AlarmKill => {
            broker.raise_alarm();
            sleep(length / 2);
            broker.kill();
            broker.restart();
        }
        ChaosFault::QueueDeleted => return delete_queues(environment, length),
        ChaosFault::QueueUnbound => return unbind_queues(environment, length, rng),
        ChaosFault::DiskFull => fill_disk(environment, length),
        ChaosFault::LaneFull => refuse_for_one_queue(environment, length, rng),
        ChaosFault::LaneSilent => silence_one_queue(environment, length, rng),
        ChaosFault::DiskHung => {
            let frozen = host.freeze_disk(&environment.disk);
            sleep(length);
            frozen.thaw();
        }
        ChaosFault::ProducerKill | ChaosFault::ProducerFreeze => {
            unreachable!("`inject_on_producer` injects the faults of the producer")
        }
    }
    1
}

/// Injects a fault of the producer. After a kill, the next producer emits at the same rate.
pub(crate) fn inject_on_producer(
    planned: &PlannedFault,
    rate: u64,
    environment: &TrialEnvironment<'_>,
    producer: &mut ProducerHandle,
) -> u64 {
    sleep(planned.start);
    if planned.fault == ChaosFault::ProducerFreeze {
        producer.freeze();
        sleep(planned.length);
        producer.unfreeze();
        return 1;
    }
    let rng = &mut Rng::with_seed(planned.seed);
    let end = Instant::now() + planned.length;
    let mut kills = 0;
    while Instant::now() < end {
        producer.kill();
        *producer = ProducerHandle::start(&environment.run.host, &environment.files);
        producer.emit_at_rate(rate).expect("a new producer answers");
        kills += 1;
        sleep(Duration::from_millis(rng.u64(20..1_500)));
    }
    kills
}

/// Cuts connections. Half of the cuts come while a connection opens.
fn cut(proxy: &Proxy, length: Duration, rng: &mut Rng) -> u64 {
    let end = Instant::now() + length;
    let mut cuts = 0;
    while Instant::now() < end {
        let direction = one_direction(rng);
        let bytes = if rng.bool() { rng.u64(0..2_000) } else { rng.u64(2_000..200_000) };
        let disconnect = if rng.bool() { Disconnect::Reset } else { Disconnect::Finish };
        proxy.cut_after(direction, bytes, disconnect);
        sleep(Duration::from_millis(rng.u64(20..800)));
        proxy.heal();
        cuts += 1;
        sleep(Duration::from_millis(rng.u64(0..400)));
    }
    cuts
}

/// Deletes each queue once, while it is empty and notifications are on their way. A queue takes its
/// messages with it, and that loss is the operator's and not the library's.
fn delete_queues(environment: &TrialEnvironment<'_>, length: Duration) -> u64 {
    for queue in QUEUES {
        environment.run.proxy.stall(Direction::ToServer);
        loop {
            environment.drain_queue(queue);
            if environment.vhost.delete_queue_if_empty(queue) {
                break;
            }
        }
        environment.run.proxy.heal();
        sleep(length / 3);
    }
    QUEUES.len() as u64
}

/// Fills the spool's disk while the link is stalled.
fn fill_disk(environment: &TrialEnvironment<'_>, length: Duration) {
    let (proxy, host) = (&environment.run.proxy, &environment.run.host);
    let before = environment.log().len();
    proxy.stall(Direction::ToServer);
    host.fill_disk(&environment.disk);
    let error = "No space left on device";
    wait_until("the producer logs the full disk", || environment.log()[before..].contains(error));
    sleep(length);
    host.clear_disk(&environment.disk);
    proxy.heal();
}

/// Makes one queue refuse every message, as a full queue does.
fn refuse_for_one_queue(environment: &TrialEnvironment<'_>, length: Duration, rng: &mut Rng) {
    let vhost = &environment.vhost;
    let pattern = format!("^{}$", one_queue(rng));
    vhost.fill(&pattern);
    sleep(length);
    vhost.make_room();
}

/// Makes the broker answer no message for one queue.
fn silence_one_queue(environment: &TrialEnvironment<'_>, length: Duration, rng: &mut Rng) {
    let queue = one_queue(rng);
    environment.vhost.suspend_queue(queue);
    sleep(length);
    environment.vhost.resume_queue(queue);
}

/// Removes the binding of each queue once. The strategy declares it again and retries the message.
/// Removing it again in the meantime would make the strategy refuse the message, as documented.
fn unbind_queues(environment: &TrialEnvironment<'_>, length: Duration, rng: &mut Rng) -> u64 {
    let mut queues = QUEUES;
    rng.shuffle(&mut queues);
    for queue in queues {
        // The strategy uses the names of the queues as routing keys.
        environment.vhost.unbind(queue, "glance", queue);
        sleep(length / 3);
    }
    QUEUES.len() as u64
}

fn one_direction(rng: &mut Rng) -> Direction {
    DIRECTIONS[rng.usize(..DIRECTIONS.len())]
}

fn one_queue(rng: &mut Rng) -> &'static str {
    QUEUES[rng.usize(..QUEUES.len())]
}

fn some_directions(rng: &mut Rng) -> &'static [Direction] {
    match rng.u8(..3) {
        0 => &DIRECTIONS[..1],
        1 => &DIRECTIONS[1..],
        _ => &DIRECTIONS,
    }
}

const DIRECTIONS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];
