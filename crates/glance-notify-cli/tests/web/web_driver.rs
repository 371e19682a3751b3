//! A client of `WebDriver`, the protocol in which a program drives a browser.
//!
//! The tests use few commands. The crate `thirtyfour` would turn on a feature of `serde_json` in everything that is
//! built beside the tests, and `fantoccini` depends on a crate under MPL-2.0.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// One session of a browser.
pub(crate) struct WebDriver {
    address: String,
    /// The path of the session. Empty before it starts.
    session: String,
}

/// An element of a page.
pub(crate) struct PageElement<'a> {
    driver: &'a WebDriver,
    /// The element as the protocol names it.
    pub(crate) reference: Value,
}

impl Drop for WebDriver {
    /// Ends the browser. One that is killed still writes files for a moment, in directories that are gone by then.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(self.command("DELETE", &self.session, None));
        }
    }
}

impl WebDriver {
    /// Starts a session with the driver at this address.
    pub(crate) fn start(address: &str, capabilities: &Value) -> Self {
        let mut driver = Self { address: address.to_owned(), session: String::new() };
        let body = json!({"capabilities": {"alwaysMatch": capabilities}});
        let session = driver.command("POST", "/session", Some(&body));
        let session = session.unwrap_or_else(|error| panic!("the browser does not start: {error}"));
        driver.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        driver
    }

    /// Opens a page.
    pub(crate) fn goto(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// Goes back to the page before.
    pub(crate) fn back(&self) {
        self.post("/back", &json!({}));
    }

    /// Returns a text about the page: `url` or `title`.
    pub(crate) fn text_of_page(&self, name: &str) -> String {
        self.get(&format!("/{name}")).as_str().unwrap().to_owned()
    }

    /// Runs a script in the page and returns its value.
    pub(crate) fn execute(&self, script: &str, arguments: &[Value]) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": arguments}))
    }

    /// Runs a script that calls its last argument with its value.
    pub(crate) fn execute_async(&self, script: &str) -> Value {
        self.post("/execute/async", &json!({"script": script, "args": []}))
    }

    /// Sends a command of Chrome's `DevTools`.
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}));
    }

    /// Returns a picture of the window as PNG, in base 64.
    pub(crate) fn picture(&self) -> String {
        self.get("/screenshot").as_str().unwrap().to_owned()
    }

    /// Presses a key and lets it go.
    pub(crate) fn press(&self, key: char) {
        let steps = ["keyDown", "keyUp"].map(|step| json!({"type": step, "value": key}));
        self.post(
            "/actions",
            &json!({"actions": [{"type": "key", "id": "keyboard", "actions": steps}]}),
        );
    }

    /// Returns the elements that a selector finds: a `css selector` or a `link text`.
    pub(crate) fn find_all(&self, using: &str, value: &str) -> Vec<PageElement<'_>> {
        let found = self.post("/elements", &json!({"using": using, "value": value}));
        let element =
            |reference: &Value| PageElement { driver: self, reference: reference.clone() };
        found.as_array().unwrap().iter().map(element).collect()
    }

    /// Returns the first element that a selector finds.
    #[track_caller]
    pub(crate) fn find(&self, using: &str, value: &str) -> PageElement<'_> {
        let found = self.find_all(using, value).into_iter().next();
        found.unwrap_or_else(|| panic!("the page {} has no {value}", self.text_of_page("url")))
    }

    fn get(&self, path: &str) -> Value {
        self.send("GET", path, None)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.send("POST", path, Some(body))
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let path = format!("{}{path}", self.session);
        let value = self.command(method, &path, body);
        value.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends one command. Returns its value, or the message of the driver.
    fn command(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(LONGEST_COMMAND)).unwrap();
        let body = body.map(Value::to_string).unwrap_or_default();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let answer: Value = serde_json::from_slice(&body_of(stream)).unwrap();
        match &answer["value"] {
            Value::Object(error) if error.contains_key("stacktrace") => {
                Err(error["message"].as_str().unwrap_or_default().to_owned())
            }
            value => Ok(value.clone()),
        }
    }
}

impl PageElement<'_> {
    /// Returns the text that the viewer sees.
    pub(crate) fn text(&self) -> String {
        self.driver.get(&self.path("/text")).as_str().unwrap().to_owned()
    }

    /// Returns an attribute.
    pub(crate) fn attribute(&self, name: &str) -> String {
        let script = "return arguments[0].getAttribute(arguments[1])";
        let value = self.driver.execute(script, &[self.reference.clone(), json!(name)]);
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Returns whether the viewer sees the element.
    pub(crate) fn is_displayed(&self) -> bool {
        self.driver.get(&self.path("/displayed")).as_bool().unwrap()
    }

    /// Clicks the element.
    pub(crate) fn click(&self) {
        self.driver.post(&self.path("/click"), &json!({}));
    }

    /// Writes a text into the field instead of its value.
    pub(crate) fn write(&self, text: &str) {
        self.driver.post(&self.path("/clear"), &json!({}));
        self.driver.post(&self.path("/value"), &json!({"text": text}));
    }

    fn path(&self, rest: &str) -> String {
        let ids = self.reference.as_object().unwrap();
        format!("/element/{}{rest}", ids.values().next().unwrap().as_str().unwrap())
    }
}

/// Reads a response, and returns its body. The driver keeps the connection open.
fn body_of(stream: TcpStream) -> Vec<u8> {
    let mut response = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        response.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    response.read_exact(&mut body).unwrap();
    body
}

/// The longest time of one command.
const LONGEST_COMMAND: Duration = Duration::from_secs(120);
