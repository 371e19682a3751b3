//! The code of a file: its tokens, without comments, documentation and unit tests.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A word, a mark, a literal or one half of a pair of brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

/// The tokens of a source, in order.
///
/// A source that is not Rust has none; the compiler says why.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    if let Ok(stream) = source.parse() {
        flatten(stream, &mut tokens);
    }
    tokens
}

/// Whether these words stand here.
pub(super) fn starts_with(tokens: &[Token], words: &[&str]) -> bool {
    tokens.len() >= words.len() && tokens.iter().zip(words).all(|(token, word)| token.text == *word)
}

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

/// What an attribute that begins here says, up to its `=`, and how many trees it is.
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

/// What follows the item that begins here.
fn after_item(trees: &[TokenTree]) -> &[TokenTree] {
    let end = trees.iter().position(|tree| match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    });
    end.map_or(&[], |end| &trees[end + 1..])
}

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
    fn comments_documentation_and_tests_are_left_out() {
        let source = "//! What.\n#![doc = \"more\"]\n/// It.\nfn f(a: [u8; 2]) -> u8 { /* no */ 'x' }\n\
                      #[cfg(test)]\nmod tests { fn g() {} }\n#[cfg(test)] use x::y;\nfn h() {}";
        assert_eq!(words(source), "fn f ( a : [ u8 ; 2 ] ) - > u8 { 'x' } fn h ( ) { }");
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let tokens = tokens("/// One\n\nfn f() {\n  g()\n}\n");
        let line = |word: &str| tokens.iter().find(|token| token.text == word).unwrap().line;
        assert_eq!((line("f"), line("g"), line("}")), (3, 4, 5));
    }
}
