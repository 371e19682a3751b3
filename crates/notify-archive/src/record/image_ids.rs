//! Ids of images in texts: in request paths and in messages of errors.

/// Returns the id of the image in the path of a request to Glance's API, such as `/v2/images/ID/file`.
pub(crate) fn image_in_path(path: &str) -> Option<&str> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut segments = path.split('/').skip_while(|segment| *segment != "images");
    segments.next()?;
    segments.next().filter(|segment| is_uuid(segment))
}

/// Returns the first id of an image in a text. Glance's old messages glue it to the word before it.
pub(crate) fn image_in_text(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut starts = 0..bytes.len().saturating_sub(UUID_LENGTH - 1);
    starts.find_map(|start| {
        let end = start + UUID_LENGTH;
        let candidate = text.get(start..end).filter(|candidate| is_uuid(candidate))?;
        let follows = bytes.get(end).is_some_and(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
        (!follows).then_some(candidate)
    })
}

/// Returns `true` if a text is a UUID with dashes.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == UUID_LENGTH
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The length of a UUID with dashes.
const UUID_LENGTH: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7290aba0-ea68-429f-a9ec-7df334e091e2";

    /// Paths of both versions of the API name their image, and lists of images name none.
    #[test]
    fn finds_the_image_in_a_request_path() {
        for path in ["/v2/images/ID", "/v2/images/ID/file?x=1", "/image/v1/images/ID/members/p"] {
            assert_eq!(image_in_path(&path.replace("ID", ID)), Some(ID), "{path}");
        }
        for path in ["/v2/images", "/v2/images?marker=ID", "/v2/tasks/ID", "/v2/images/detail"] {
            assert_eq!(image_in_path(&path.replace("ID", ID)), None, "{path}");
        }
    }

    /// Glance of 2014 wrote `for imageID`, and other messages name no image.
    #[test]
    fn finds_the_image_in_an_error_text() {
        for text in ["for image ID: E", "for imageID: E", "ID", "é ID."] {
            assert_eq!(image_in_text(&text.replace("ID", ID)), Some(ID), "{text}");
        }
        for text in ["Image storage media is full", "", "ID0", "ID-1"] {
            assert_eq!(image_in_text(&text.replace("ID", ID)), None, "{text}");
        }
    }
}
