//! A headless Chromium of one test, and the checker of accessibility.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notify_testbed::ports::free_port;
use notify_testbed::sandbox::ProcessSandbox;
use notify_testbed::wait::wait_until;
use serde_json::{Value, json};

use crate::web_driver::{PageElement, WebDriver};

/// A browser. Dropping it ends its processes.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    _sandbox: ProcessSandbox,
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Panics
    ///
    /// Panics if Chromium or its driver is not installed.
    pub(crate) fn start() -> Self {
        let sandbox = ProcessSandbox::new();
        let port = free_port();
        let mut command = sandbox.command(DRIVER);
        command.arg(format!("--port={port}")).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        drop(command.spawn().expect("run `cargo xtask setup`: there is no chromedriver"));
        let address = format!("127.0.0.1:{port}");
        wait_until("the driver listens", || std::net::TcpStream::connect(&address).is_ok());
        let profile = format!("--user-data-dir={}", sandbox.path().join("profile").display());
        let arguments: Vec<_> = ARGUMENTS.into_iter().chain([profile.as_str()]).collect();
        let options = json!({"binary": CHROMIUM, "args": arguments});
        let capabilities = json!({"browserName": "chrome", "goog:chromeOptions": options,
            "timeouts": {"implicit": 5_000, "script": 60_000}});
        Self { driver: WebDriver::start(&address, &capabilities), _sandbox: sandbox }
    }

    /// Sets the width of the window in pixels, and the scheme of colours.
    pub(crate) fn look(&self, width: u32, scheme: &str) {
        let metrics =
            json!({"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": false});
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.driver.devtools("Emulation.setDeviceMetricsOverride", &metrics);
        self.driver.devtools("Emulation.setEmulatedMedia", &media);
    }

    /// Returns the value of an expression in the page.
    pub(crate) fn value(&self, expression: &str) -> Value {
        self.driver.execute(&format!("return {expression}"), &[])
    }

    /// Returns the text of an element.
    #[track_caller]
    pub(crate) fn text(&self, selector: &str) -> String {
        self.driver.find("css selector", selector).text()
    }

    /// Returns the texts of all elements.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        self.driver.find_all("css selector", selector).iter().map(PageElement::text).collect()
    }

    /// Returns an attribute of all elements.
    pub(crate) fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let elements = self.driver.find_all("css selector", selector);
        elements.iter().map(|element| element.attribute(name)).collect()
    }

    /// Clicks an element that leads to another page, and waits for that.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        self.leave_by(&self.driver.find("css selector", selector));
    }

    /// Clicks a link by its text, and waits for the page behind it.
    #[track_caller]
    pub(crate) fn follow(&self, text: &str) {
        self.leave_by(&self.driver.find("link text", text));
    }

    /// Clicks an element, and waits until the page has made way for another one.
    pub(crate) fn leave_by(&self, element: &PageElement<'_>) {
        self.driver.execute("window.isLeft = true", &[]);
        element.click();
        wait_until("the next page is there", || {
            self.value("!window.isLeft && document.readyState === 'complete'") == true
        });
    }

    /// Writes a text into a field instead of its value.
    #[track_caller]
    pub(crate) fn write(&self, selector: &str, text: &str) {
        self.driver.find("css selector", selector).write(text);
    }

    /// Returns the address of the page.
    pub(crate) fn address(&self) -> String {
        self.driver.text_of_page("url")
    }

    /// Returns a picture of the window as PNG.
    pub(crate) fn picture(&self) -> Vec<u8> {
        STANDARD.decode(self.driver.picture()).unwrap()
    }

    /// Returns the violations that axe-core finds in the page.
    pub(crate) fn violations(&self) -> Vec<AxeViolation> {
        let axe =
            fs::read_to_string(axe_core()).expect("run `cargo xtask setup`: there is no axe-core");
        // The page itself may run no script; the driver may.
        self.driver.execute(&axe, &[]);
        let found = self.driver.execute_async(
            "const done = arguments[arguments.length - 1]; \
             axe.run().then(r => done(r.violations), e => done(String(e)))",
        );
        let found = found.as_array().unwrap_or_else(|| panic!("axe-core failed: {found}"));
        let violation = |found: &Value| AxeViolation {
            rule: found["id"].as_str().unwrap().to_owned(),
            impact: found["impact"].as_str().unwrap_or_default().to_owned(),
            places: found["nodes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|node| node["html"].to_string())
                .collect(),
        };
        found.iter().map(violation).collect()
    }
}

/// A rule of accessibility that a page violates.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AxeViolation {
    pub(crate) rule: String,
    pub(crate) impact: String,
    pub(crate) places: Vec<String>,
}

/// Returns the path of the checker, of the version in `xtask/src/setup.rs`.
fn axe_core() -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    PathBuf::from(format!("{root}/.venv/axe-core/4.14.1/node_modules/axe-core/axe.min.js"))
}

/// The height of the window in pixels.
const HEIGHT: u32 = 720;
const CHROMIUM: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";

/// No window, no sandbox (the tests may run as root), and no connection to anywhere else.
const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
];
