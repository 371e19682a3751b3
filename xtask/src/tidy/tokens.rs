//! The tokens of a source file, without comments, documentation and unit tests.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A word, a punctuation mark, a literal or a bracket, with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

/// Returns the tokens of a source, in order.
///
/// Returns none for a source that does not parse; the compiler reports the reason.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    if let Ok(stream) = source.parse() {
        flatten(stream, &mut tokens);
    }
    tokens
}

/// Returns whether `tokens` begin with `words`.
pub(super) fn starts_with(tokens: &[Token], words: &[&str]) -> bool {
    tokens.len() >= words.len() && tokens.iter().zip(words).all(|(token, word)| token.text == *word)
}

/// Appends the tokens of `stream`, with those inside its groups.
fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut rest = trees.as_slice();
    while let [tree, after @ ..] = rest {
        rest = match attribute(rest) {
            Some((name, length)) if name == "doc" => &rest[length..],
            Some((name, length)) if name == "cfg(test)" => after_item(&rest[length..]),
            _ => {
                push(tree, tokens);
                after
            }
        };
    }
}

/// Returns the name of the attribute at the head of `trees`, up to its `=`, and its length in trees.
fn attribute(trees: &[TokenTree]) -> Option<(String, usize)> {
    let is = |tree: Option<&TokenTree>, mark: char| matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == mark);
    let inner = usize::from(is(trees.get(1), '!'));
    match trees.get(1 + inner) {
        Some(TokenTree::Group(group))
            if is(trees.first(), '#') && group.delimiter() == Delimiter::Bracket =>
        {
            let text: String = group.stream().to_string().split_whitespace().collect();
            let name = text.split('=').next().unwrap_or_default().to_owned();
            Some((name, 2 + inner))
        }
        _ => None,
    }
}

/// Returns the trees after the item at the head of `trees`.
fn after_item(trees: &[TokenTree]) -> &[TokenTree] {
    let end = trees.iter().position(|tree| match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    });
    end.map_or(&[], |end| &trees[end + 1..])
}

/// Appends one tree as tokens.
fn push(tree: &TokenTree, tokens: &mut Vec<Token>) {
    let mut add = |text: &str, line: usize| {
        if !text.is_empty() {
            tokens.push(Token { text: text.to_owned(), line });
        }
    };
    let line = tree.span().start().line;
    let TokenTree::Group(group) = tree else {
        return add(&tree.to_string(), line);
    };
    let (open, close) = match group.delimiter() {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    };
    add(open, line);
    flatten(group.stream(), tokens);
    if !close.is_empty() {
        tokens.push(Token { text: close.to_owned(), line: group.span_close().start().line });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> String {
        tokens(source).into_iter().map(|token| token.text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn skips_comments_documentation_and_tests() {
        let source = "//! Purpose.\n#![doc = \"more\"]\n/// It.\nfn f(a: [u8; 2]) -> u8 { /* no */ 'x' }\n\
                      #[cfg(test)]\nmod tests { fn g() {} }\n#[cfg(test)] use x::y;\nfn h() {}";
        assert_eq!(words(source), "fn f ( a : [ u8 ; 2 ] ) - > u8 { 'x' } fn h ( ) { }");
    }

    #[test]
    fn keeps_the_line_numbers_of_the_file() {
        let tokens = tokens("/// One\n\nfn f() {\n  g()\n}\n");
        let line = |word: &str| tokens.iter().find(|token| token.text == word).unwrap().line;
        assert_eq!((line("f"), line("g"), line("}")), (3, 4, 5));
    }
}
