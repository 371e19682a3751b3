//! A month of a cloud with realistic lives of images, the same in every run.
//!
//! It writes notifications as lines and holds only the images that are alive in memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use notify_archive::question::Calendar;

/// Writes the first `count` notifications of the month as lines.
///
/// # Panics
///
/// Panics if the file cannot be written.
pub(crate) fn write(path: &Path, count: usize) {
    let mut out = BufWriter::new(File::create(path).expect("the directory is writable"));
    let month = Calendar::utc().interval("2026-11").expect("a month").start;
    let events = lives(count.div_ceil(LIFE.len())).take(count);
    for (number, (second, image, step)) in events.enumerate() {
        let time = month + Duration::from_secs(second);
        let event_type = LIFE[step];
        let payload = payload(event_type, image, number);
        writeln!(
            out,
            "{{\"message_id\":\"{}\",\"publisher_id\":\"image.glance{}\",\"event_type\":\"{event_type}\",\
             \"priority\":\"INFO\",\"timestamp\":\"{} {:02}:{:02}:{:02}.{:06}\",\"payload\":{payload}}}",
            scattered_id(number),
            number % 3,
            time.date(),
            time.hour(),
            time.minute(),
            time.second(),
            number % 1_000_000
        )
        .expect("the disk has room");
    }
    out.flush().expect("the disk has room");
}

/// Returns the id of an image.
pub(crate) fn image_id(image: usize) -> String {
    scattered_id(image + 1_000_000_000)
}

/// Returns the events of a month in their order, each with its second, its image and its step in [`LIFE`].
///
/// A life begins with an upload within some minutes. The downloads follow over hours and days, and the
/// deletion comes last. So neighbouring events are of different images, most of them young, as in a cloud.
fn lives(images: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut born = 0;
    // The next event of each image that is alive.
    let mut alive: BinaryHeap<Reverse<(u64, usize, usize)>> = BinaryHeap::new();
    std::iter::from_fn(move || {
        while born < images
            && alive.peek().is_none_or(|Reverse((next, ..))| *next >= birth(born, images))
        {
            alive.push(Reverse((birth(born, images), born, 0)));
            born += 1;
        }
        let Reverse((second, image, step)) = alive.pop()?;
        if step + 1 < LIFE.len() {
            alive.push(Reverse((second_of(image, images, step + 1), image, step + 1)));
        }
        Some((second, image, step))
    })
}

/// Returns the second in which an image is created: one after the other, until a day before the end.
fn birth(image: usize, images: usize) -> u64 {
    (image * 27 * 86_400 / images) as u64
}

/// Returns the second of a step of an image's life.
fn second_of(image: usize, images: usize, step: usize) -> u64 {
    let random = |salt: u64, below: u64| mixed(image as u64 ^ (salt << 40)) % below;
    let birth = birth(image, images);
    let upload = 10 + random(1, 300);
    match step {
        0 => birth,
        1 => birth + 1,
        2 => birth + upload,
        3 => birth + upload + 1,
        4 => birth + upload + 60,
        _ => {
            // The rest divides the time until the deletion, at most five days later, by chance.
            let end = birth + 3600 + random(2, (28 * 86_400 - birth - 3600).min(5 * 86_400));
            let start = birth + upload + 60;
            let mut downloads: [u64; 4] =
                std::array::from_fn(|n| start + random(3 + n as u64, end - start));
            downloads.sort_unstable();
            downloads.get(step - 5).copied().unwrap_or(end)
        }
    }
}

/// Returns a payload of the shape that Glance sends.
fn payload(event_type: &str, image: usize, number: usize) -> String {
    let (id, owner) = (image_id(image), project(image));
    if event_type == "image.send" {
        return format!(
            "{{\"bytes_sent\":{},\"image_id\":\"{id}\",\"owner_id\":\"{owner}\",\"receiver_tenant_id\":\"{}\",\
             \"receiver_user_id\":\"{}\",\"destination_ip\":\"192.0.2.{}\"}}",
            image * 1024,
            project(number),
            project(number + 7),
            number % 250
        );
    }
    let status = if event_type == "image.create" { "queued" } else { "active" };
    format!(
        "{{\"id\":\"{id}\",\"name\":\"image-{image}\",\"status\":\"{status}\",\"created_at\":\"2026-11-01T00:00:00Z\",\
         \"updated_at\":\"2026-11-01T00:00:00Z\",\"min_disk\":0,\"min_ram\":0,\"protected\":false,\
         \"checksum\":\"{:032x}\",\"owner\":\"{owner}\",\"disk_format\":\"qcow2\",\"container_format\":\"bare\",\
         \"size\":{},\"virtual_size\":null,\"is_public\":false,\"visibility\":\"private\",\
         \"properties\":{{\"os_distro\":\"debian\",\"os_version\":\"{}\"}},\"tags\":[\"stable\"],\
         \"deleted\":false,\"deleted_at\":null}}",
        mixed(image as u64),
        image * 1024,
        image % 20
    )
}

/// Returns the id of a project.
pub(crate) fn project(number: usize) -> String {
    format!("{:032x}", mixed((number % PROJECTS) as u64))
}

/// Returns an id that has no order, as a UUID of version 4.
fn scattered_id(number: usize) -> String {
    let (high, low) = (mixed(number as u64), mixed(number as u64 ^ 0x5555_5555));
    uuid::Builder::from_random_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
        .into_uuid()
        .to_string()
}

/// Mixes the bits of a number (`SplitMix64`).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The number of projects.
pub(crate) const PROJECTS: usize = 40;
/// The number of events of an image.
pub(crate) const EVENTS_OF_AN_IMAGE: usize = LIFE.len();
/// The life of an image: most of it is downloads.
const LIFE: [&str; 10] = [
    "image.create",
    "image.prepare",
    "image.upload",
    "image.activate",
    "image.update",
    "image.send",
    "image.send",
    "image.send",
    "image.send",
    "image.delete",
];
