//! Doing what is planned. Each fault heals what it did before it returns, and says how often it did it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use fastrand::Rng;
use notify_testbed::proxy::{Direction, Disconnect, Proxy};
use notify_testbed::wait::wait_until;

use crate::fault::Fault;
use crate::place::Name;
use crate::plan::Planned;
use crate::process::Producer;
use crate::world::{QUEUES, Stage};

/// Does to the link, the broker or the disk what is planned.
pub(crate) fn inject(planned: &Planned, stage: &Stage<'_>) -> u64 {
    sleep(planned.start);
    let length = planned.length;
    let rng = &mut Rng::with_seed(planned.seed);
    let (broker, relay, place) = (&stage.world.broker, &stage.world.relay, &stage.world.place);
    match planned.fault {
        Fault::Cut => return cut(relay, length, rng),
        Fault::Stall => {
            for &way in some_ways(rng) {
                relay.stall(way);
            }
            sleep(length);
            relay.heal();
        }
        Fault::Slice => {
            for way in WAYS {
                relay.slice(way, 1);
            }
            sleep(length);
            relay.heal();
        }
        Fault::Delay => {
            let time = Duration::from_millis(rng.u64(50..=2_000));
            for &way in some_ways(rng) {
                relay.delay(way, time);
            }
            sleep(length);
            relay.heal();
        }
        Fault::HalfClose => {
            relay.half_close(one_way(rng));
            sleep(length);
            relay.heal();
        }
        Fault::Refuse => {
            relay.refuse();
            relay.cut(Disconnect::Reset);
            sleep(length);
            relay.accept();
        }
        Fault::BlackHole => {
            place.cut_off();
            sleep(length);
            place.reconnect();
        }
        Fault::Dns => {
            place.resolve(if rng.bool() { Name::Unknown } else { Name::Wrong });
            relay.cut(Disconnect::Reset);
            sleep(length);
            place.resolve(Name::Known);
        }
        Fault::BrokerKill => {
            broker.kill();
            sleep(length / 4);
            broker.restart();
        }
        Fault::BrokerFreeze => {
            broker.freeze();
            sleep(length);
            broker.thaw();
        }
        Fault::BrokerRestart => broker.restart(),
        Fault::BrokerStopApp => {
            broker.stop_application();
            sleep(length / 4);
            broker.start_application();
        }
        Fault::Alarm => {
            broker.raise_alarm();
            sleep(length);
            broker.clear_alarm();
        }
        Fault::AlarmKill => {
            broker.raise_alarm();
            sleep(length / 2);
            broker.kill();
            broker.restart();
        }
        Fault::QueueDeleted => return delete_queues(stage, length),
        Fault::QueueUnbound => return unbind_queues(stage, length, rng),
        Fault::DiskFull => {
            let said = stage.log().len();
            relay.stall(Direction::ToServer);
            place.fill(&stage.disk);
            let full = "No space left on device";
            wait_until("the producer says it", || stage.log()[said..].contains(full));
            sleep(length);
            place.clear(&stage.disk);
            relay.heal();
        }
        Fault::ProducerKill | Fault::ProducerFreeze => unreachable!("these are the producer's"),
    }
    1
}

/// Does to the producer what is planned; it goes on at the same rate.
pub(crate) fn inject_on_producer(
    planned: &Planned,
    rate: u64,
    stage: &Stage<'_>,
    producer: &mut Producer,
) -> u64 {
    sleep(planned.start);
    if planned.fault == Fault::ProducerFreeze {
        producer.freeze();
        sleep(planned.length);
        producer.thaw();
        return 1;
    }
    let rng = &mut Rng::with_seed(planned.seed);
    let end = Instant::now() + planned.length;
    let mut kills = 0;
    while Instant::now() < end {
        producer.kill();
        *producer = Producer::start(&stage.world.place, &stage.files);
        producer.go(rate).expect("a producer that was just started answers");
        kills += 1;
        sleep(Duration::from_millis(rng.u64(20..1_500)));
    }
    kills
}

/// Cuts connections, half of them while they are being made.
fn cut(relay: &Proxy, length: Duration, rng: &mut Rng) -> u64 {
    let end = Instant::now() + length;
    let mut cuts = 0;
    while Instant::now() < end {
        let way = one_way(rng);
        let bytes = if rng.bool() { rng.u64(0..2_000) } else { rng.u64(2_000..200_000) };
        let how = if rng.bool() { Disconnect::Reset } else { Disconnect::Finish };
        relay.cut_after(way, bytes, how);
        sleep(Duration::from_millis(rng.u64(20..800)));
        relay.heal();
        cuts += 1;
        sleep(Duration::from_millis(rng.u64(0..400)));
    }
    cuts
}

/// Deletes each queue while notifications are on their way and none is in it: what is in a queue goes
/// with it, and that is nobody's loss but the operator's.
fn delete_queues(stage: &Stage<'_>, length: Duration) -> u64 {
    for queue in QUEUES {
        stage.world.relay.stall(Direction::ToServer);
        loop {
            stage.drain_queue(queue);
            if stage.vhost.delete_queue_if_empty(queue) {
                break;
            }
        }
        stage.world.relay.heal();
        sleep(length / 3);
    }
    QUEUES.len() as u64
}

/// Takes each queue its binding, once: what finds none, the strategy makes anew and sends again. To take
/// it away again meanwhile would be to make it refuse, as it says that it does.
fn unbind_queues(stage: &Stage<'_>, length: Duration, rng: &mut Rng) -> u64 {
    let mut queues = QUEUES;
    rng.shuffle(&mut queues);
    for queue in queues {
        // The strategy's own routing keys are the names of the queues.
        stage.vhost.unbind(queue, "glance", queue);
        sleep(length / 3);
    }
    QUEUES.len() as u64
}

fn one_way(rng: &mut Rng) -> Direction {
    WAYS[rng.usize(..WAYS.len())]
}

fn some_ways(rng: &mut Rng) -> &'static [Direction] {
    match rng.u8(..3) {
        0 => &WAYS[..1],
        1 => &WAYS[1..],
        _ => &WAYS,
    }
}

const WAYS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];
