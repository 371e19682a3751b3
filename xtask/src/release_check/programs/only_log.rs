//! Emits one notification to a file with `notify-core` and `notify-log` alone, and prints the file.

use std::time::Duration;

use notify_core::event::Payload;
use notify_core::{Event, Notifier};
use notify_log::{Config, FileConfig, Log};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::temp_dir().join(format!("only-log-{}", std::process::id()));
    let transport = Log::new(Config::File(FileConfig::new(&path)));
    let (notifier, worker) = Notifier::builder(transport).build()?;
    let worker = worker.spawn_thread()?;
    notifier.emit(&Event::ImageUpload(Payload::Error("storage is full".into())));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(notifier.shutdown(Duration::from_secs(10)));
    drop(worker.join());
    print!("{}", std::fs::read_to_string(&path)?);
    std::fs::remove_file(path)?;
    Ok(())
}
