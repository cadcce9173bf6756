//! The recipes for gateways: what the documentation prints is what `make test-gateways` runs.

use std::path::Path;

/// The block that follows the comment which names a file.
fn printed<'a>(text: &'a str, path: &str) -> &'a str {
    let (_, after) = text.split_once(&format!("<!-- {path} -->\n```")).unwrap_or_else(|| panic!("{path} is not printed"));
    let (_, block) = after.split_once('\n').expect("a block");
    block.split_once("```").expect("an end of the block").0
}

#[test]
fn the_documentation_prints_the_recipes_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a text");
    let text = read("docs/GATEWAYS.md");
    for path in ["packaging/gateways/nginx.conf", "packaging/gateways/Caddyfile"] {
        assert_eq!(printed(&text, path), read(path), "copy {path} into docs/GATEWAYS.md");
    }
}
