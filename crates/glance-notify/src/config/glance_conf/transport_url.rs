//! oslo.messaging's `transport_url`, read as oslo.messaging reads it.
//!
//! Errors name the part that is invalid and never repeat it: any part of a mistyped URL can be the
//! password.

use notify_core::Result;

use super::conf_files::ConfOption;

/// A parsed URL, such as `rabbit://user:password@host:5672,user:password@host2/vhost?ssl=1`.
pub(super) struct TransportUrl {
    pub(super) scheme: String,
    /// Names and ports. Empty in `rabbit://`, which leaves the address to other options. Current
    /// oslo.messaging ignores these, and connects to `localhost` as `guest`.
    pub(super) hosts: Vec<(String, Option<u16>)>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    /// The text after the first slash, decoded once. `None` without a slash.
    pub(super) virtual_host: Option<String>,
    /// The parameters, which override options of the driver's section.
    pub(super) parameters: Vec<(String, String)>,
}

impl TransportUrl {
    /// Parses the value of `option`.
    pub(super) fn parse(option: &ConfOption) -> Result<Self> {
        let parts = option.value.split_once(':').and_then(|(scheme, rest)| {
            let authority = rest.strip_prefix("//");
            // `rabbit:` and `rabbit:/vhost` are URLs without a host too.
            let is_path = rest.is_empty() || rest.starts_with('/');
            Some((scheme, authority.or(is_path.then_some(rest))?))
        });
        let Some((scheme, rest)) = parts else {
            return Err(option.refuse("expected a URL that begins with rabbit://"));
        };
        if rest.contains('\n') {
            return Err(option.refuse("continues on an indented line: write it on one line"));
        }
        if rest.contains('#') {
            return Err(option.refuse(ENCODE));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        // Behind an unencoded slash in a password, oslo.messaging takes the host for the virtual host, and
        // behind a question mark for a parameter.
        if path.is_some_and(|path| path.contains('@')) || query.contains('@') {
            return Err(option.refuse(ENCODE));
        }
        let decode = |text: &str| decoded(text).ok_or_else(|| option.refuse("not valid UTF-8"));
        let mut url = Self {
            scheme: scheme.to_ascii_lowercase(),
            hosts: Vec::new(),
            user: None,
            password: None,
            virtual_host: path.map(decode).transpose()?,
            parameters: Vec::new(),
        };
        for piece in authority.split(',').filter(|piece| !piece.is_empty()) {
            url.add_host(piece, option)?;
        }
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            // oslo.messaging ignores a parameter without a value.
            if !value.is_empty() {
                url.parameters.push((decode(key)?, decode(&value.replace('+', " "))?));
            }
        }
        Ok(url)
    }

    /// Returns the name of RabbitMQ's virtual host.
    ///
    /// oslo.messaging puts the decoded name into a URL for kombu, which decodes it again.
    pub(super) fn rabbit_virtual_host(&self, option: &ConfOption) -> Result<Option<String>> {
        let Some(name) = &self.virtual_host else { return Ok(None) };
        // In kombu's URL, the name would end at such a character.
        if name.contains(['?', '#', ';']) {
            return Err(option.refuse(
                "oslo.messaging decodes the virtual host twice and cuts it at `?`, `#` and `;`: encode \
                 them twice, as `%253F`, `%2523` and `%253B`",
            ));
        }
        decoded(name).map(Some).ok_or_else(|| option.refuse("not valid UTF-8"))
    }

    /// Parses `user:password@host:port`.
    fn add_host(&mut self, piece: &str, option: &ConfOption) -> Result<()> {
        let decode = |text| decoded(text).ok_or_else(|| option.refuse("not valid UTF-8"));
        let (login, address) = match piece.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, piece),
        };
        let host = parse_host_port(address)
            .ok_or_else(|| option.refuse(&format!("host {}: {ENCODE}", self.hosts.len() + 1)))?;
        let is_first = self.hosts.is_empty();
        self.hosts.push(host);
        let Some(login) = login else { return Ok(()) };
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (decode(user)?, Some(decode(password)?)),
            None => (decode(login)?, None),
        };
        if is_first {
            (self.user, self.password) = (Some(user), password);
        } else if (self.user.as_ref(), &self.password) != (Some(&user), &password) {
            return Err(option.refuse(
                "the hosts have different credentials: give every host the same user and password",
            ));
        }
        Ok(())
    }
}

/// Parses a host with an optional port. An IPv6 address with a port is in brackets.
pub(super) fn parse_host_port(address: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match address.split_once(':') {
            // An IPv6 address without a port needs no brackets.
            Some((_, rest)) if rest.contains(':') => (address, None),
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.is_empty() || !host.chars().all(is_name) {
        return None;
    }
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(port.parse().ok()?),
    };
    Some((host.to_owned(), port))
}

/// Returns the URL of a broker, with everything encoded that needs it.
pub(super) fn broker_url(
    tls: bool,
    hosts: &[(String, u16)],
    user: Option<&str>,
    password: Option<&str>,
    virtual_host: Option<&str>,
) -> String {
    let scheme = if tls { "amqps" } else { "amqp" };
    let login = match (user, password) {
        (None, None) => String::new(),
        (user, None) => format!("{}@", encoded(user.unwrap_or_default())),
        (user, Some(password)) => {
            format!("{}:{}@", encoded(user.unwrap_or_default()), encoded(password))
        }
    };
    let hosts: Vec<_> = hosts
        .iter()
        .map(|(host, port)| {
            let host = if host.contains(':') { format!("[{host}]") } else { encoded(host) };
            format!("{host}:{port}")
        })
        .collect();
    let path = virtual_host.map(|name| format!("/{}", encoded(name))).unwrap_or_default();
    format!("{scheme}://{login}{}{path}", hosts.join(","))
}

/// Percent-encodes every byte that RFC 3986 does not list as unreserved.
fn encoded(text: &str) -> String {
    let is_unreserved =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let encode = |byte| match byte {
        byte if is_unreserved(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect::<Vec<_>>().concat()
}

/// Decodes `%XX`. As in Python, anything else after a `%` stays.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let is_hex = |digits: &&str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let decoded = digits.filter(is_hex).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match decoded {
            Some(decoded) if byte == b'%' => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// The advice for a URL whose parts cannot be told apart.
const ENCODE: &str = "expected user:password@host:port: percent-encode `,` `/` `?` `#` `@` `:` `%` \
                      and `[` in the user name and the password";

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a URL.
    fn parse(url: &str) -> Result<TransportUrl> {
        TransportUrl::parse(&ConfOption::default_of("transport_url").with_value(url))
    }

    /// The parts of a URL have the meaning that oslo.messaging gives them.
    #[test]
    fn reads_urls_as_oslo_messaging_does() {
        let url = parse("rabbit://u%40v:p%zz@h1:7,u%40v:p%zz@[::1]//?ssl=1&x=&y=a+b").unwrap();
        assert_eq!(url.hosts, [("h1".into(), Some(7)), ("::1".into(), None)]);
        assert_eq!((url.user.as_deref(), url.password.as_deref()), (Some("u@v"), Some("p%zz")));
        assert_eq!(url.virtual_host.as_deref(), Some("/"));
        assert_eq!(url.parameters, [("ssl".into(), "1".into()), ("y".into(), "a b".into())]);
        for (url, virtual_host) in
            [("rabbit://h", None), ("rabbit://h/", Some("")), ("rabbit:///v%2Fw", Some("v/w"))]
        {
            assert_eq!(parse(url).unwrap().virtual_host.as_deref(), virtual_host, "{url}");
        }
        for (url, virtual_host) in [("rabbit:", None), ("rabbit:/v", Some("v"))] {
            let url = parse(url).unwrap();
            assert_eq!((url.scheme.as_str(), url.hosts.len()), ("rabbit", 0));
            assert_eq!(url.virtual_host.as_deref(), virtual_host);
        }
        assert_eq!(parse("Rabbit://h").unwrap().scheme, "rabbit");
    }

    /// The virtual host is the one that kombu connects to.
    #[test]
    fn decodes_the_virtual_host_of_rabbitmq_twice() {
        let read = |path: &str| {
            let option = ConfOption::default_of("transport_url");
            parse(&format!("rabbit://h{path}")).unwrap().rabbit_virtual_host(&option)
        };
        for (path, virtual_host) in [
            ("", None),
            ("/", Some("")),
            ("//", Some("/")),
            ("/%2F", Some("/")),
            ("/%252F", Some("/")),
            ("/a%2Fb", Some("a/b")),
            ("/a%252Fb", Some("a/b")),
            ("/a%25252Fb", Some("a%2Fb")),
            ("/%25C3%25A9", Some("é")),
            ("/100%25", Some("100%")),
            ("/a%2523b", Some("a#b")),
        ] {
            assert_eq!(read(path).unwrap().as_deref(), virtual_host, "{path}");
        }
        for path in ["/a%23b", "/a%3Fb", "/a%3Bb", "/a;b"] {
            let error = read(path).unwrap_err().to_string();
            assert!(error.contains("encode them twice, as `%253F`"), "{path}: {error}");
        }
        assert!(read("/%25FF").is_err());
    }

    /// A password that is not encoded never becomes a host or a virtual host.
    #[test]
    fn refuses_urls_with_ambiguous_parts() {
        for url in [
            "rabbit://u:hunter2#1@h",
            "rabbit://u:hunter2/1@h",
            "rabbit://u/hunter2@h",
            "rabbit://u:hunter2?1@h",
            "rabbit://u:1?ssl=hunter2@h",
            "rabbit://u:1?hunter2@h",
            "rabbit://u:hunter2[1@h x",
            "rabbit://h:70000",
            "rabbit://a:hunter2@h,b:hunter2@h",
            "hunter2",
            "rabbit:u:hunter2@h",
        ] {
            let Err(error) = parse(url) else { panic!("{url}") };
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let Err(error) = parse("rabbit://u:p@h1,\nu:p@h2") else { panic!("two lines") };
        assert!(error.to_string().ends_with(": write it on one line"), "{error}");
    }
}
