//! Finding a page by its words. There are few pages, so each search reads them all.

use super::Reader;
use super::article::Article;

const MOST: usize = 20;

pub fn page(reader: &Reader, asked: &str) -> Article {
    let words: Vec<String> = asked.split_whitespace().map(str::to_lowercase).take(8).collect();
    let mut found: Vec<(usize, Article)> = Vec::new();
    if !words.is_empty() {
        found = super::all(reader).into_iter().filter_map(|article| Some((rank(&article, &words)?, article))).collect();
        found.sort_by_key(|(rank, _)| *rank);
    }
    let title = if words.is_empty() { "Search" } else { "Search results" };
    let mut text = match (words.is_empty(), found.len()) {
        (true, _) => "Type a word, a path or an error code above.\n\n".to_owned(),
        (_, 0) => "No page has all these words. Try fewer, or begin at the [start](/docs).\n\n".to_owned(),
        (_, 1) => "1 page.\n\n".to_owned(),
        (_, n) if n > MOST => format!("The first {MOST} of {n} pages.\n\n"),
        (_, n) => format!("{n} pages.\n\n"),
    };
    for (_, article) in found.iter().take(MOST) {
        text += &format!("- [{}]({}): {}\n", article.title, article.href(), article.summary);
    }
    Article::new("search", title, "", text)
}

/// None: not all words are there. The less, the better: in the title, in the summary, in the text.
fn rank(article: &Article, words: &[String]) -> Option<usize> {
    let places = [&article.title, &article.summary, &article.markdown].map(|text| text.to_lowercase());
    let path = article.path.to_lowercase();
    words.iter().map(|word| places.iter().position(|text| text.contains(word)).or_else(|| path.contains(word).then_some(1))).sum()
}
