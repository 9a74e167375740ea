using System.Text;
using System.Text.Json.Nodes;

namespace Krewe.Models.Tests.Tokenizers;

public class TokenizerTests
{
    [Fact]
    public void Merges_as_pairs_mean_the_same_as_merges_as_strings()
    {
        var strings = TokenizerFile.Bytes("a b", "ab c");
        var pairs = TokenizerFile.Bytes("a b", "ab c");
        pairs["model"]!["merges"] = JsonNode.Parse("""[["a","b"],["ab","c"]]""");
        Assert.Equal([257, 97, 256], TokenizerFile.Load(strings).Encode("abcaab", addSpecialTokens: false));
        Assert.Equal([257, 97, 256], TokenizerFile.Load(pairs).Encode("abcaab", addSpecialTokens: false));
    }

    [Fact]
    public void Ignoring_merges_takes_a_whole_word_that_no_merge_reaches()
    {
        var file = TokenizerFile.Bytes("b c", "a b");
        file["model"]!["vocab"]!["abc"] = 258;
        Assert.Equal([97, 256], TokenizerFile.Load(file).Encode("abc", addSpecialTokens: false));
        file["model"]!["ignore_merges"] = true;
        Assert.Equal([258], TokenizerFile.Load(file).Encode("abc", addSpecialTokens: false));
    }

    [Fact]
    public void Long_words_merge_exactly_as_the_definition_says()
    {
        // Lowest rank first, leftmost among equals, one merge at a time.
        string[] merges = ["a a", "a b", "aa aa", "b a", "ab ab", "aab a", "aa b", "ba b", "aaaa aa"];
        var tokenizer = TokenizerFile.Load(TokenizerFile.Bytes(merges));
        for (var seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var word = new string([.. Enumerable.Range(0, random.Next(1, 300)).Select(_ => "aab"[random.Next(3)])]);
            var symbols = word.Select(c => c.ToString()).ToList();
            while (true)
            {
                var best = Enumerable.Range(0, symbols.Count - 1)
                    .Select(i => (Rank: Array.IndexOf(merges, $"{symbols[i]} {symbols[i + 1]}"), At: i))
                    .Where(candidate => candidate.Rank >= 0).Order().FirstOrDefault((Rank: -1, At: 0));
                if (best.Rank < 0)
                    break;
                symbols[best.At] += symbols[best.At + 1];
                symbols.RemoveAt(best.At + 1);
            }

            var ids = tokenizer.Encode(word, addSpecialTokens: false);
            Assert.Equal(symbols, ids.Select(id => tokenizer.TokenText(id)!));
        }
    }

    [Theory]
    [InlineData('a', 'a')]
    [InlineData('a', 'z')]
    [InlineData(' ', ' ')]
    [InlineData('\n', ' ')]
    [InlineData('\'', '\'')]
    [InlineData('\uD83D', '\uD83D')]
    public void A_word_of_a_million_characters_survives(char low, char high)
    {
        var random = new Random(1);
        var text = new string([.. Enumerable.Range(0, 1_000_000).Select(_ => (char)random.Next(low, high + 1))]);
        if (low > high)
            text = string.Concat(Enumerable.Repeat($"{low}{high}", 500_000));
        var tokenizer = Tokenizer.Load(TestFiles.TinyModel);
        // Quadratic time would be hours; LinearTimeTests count the operations.
        var ids = tokenizer.Encode(text, addSpecialTokens: false);
        Assert.Equal(Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)), tokenizer.Decode(ids));
    }

    [Fact]
    public void Added_tokens_are_found_leftmost_and_longest_and_take_the_blanks_that_they_ask_for()
    {
        var file = TokenizerFile.Bytes();
        file["added_tokens"] = new JsonArray(
            TokenizerFile.Added(300, "<a>"), TokenizerFile.Added(301, "<a><b>"),
            TokenizerFile.Added(302, "<l>", true, "lstrip"),
            TokenizerFile.Added(303, "<r>", true, "rstrip"), TokenizerFile.Added(304, "word", false, "single_word"),
            TokenizerFile.Added(305, "plain", false));
        var tokenizer = TokenizerFile.Load(file);
        Assert.Equal([301, 300, 60], tokenizer.Encode("<a><b><a><", addSpecialTokens: false));
        Assert.Equal([97, 302, 32, 97, 303, 97], tokenizer.Encode("a  <l> a<r>  a", addSpecialTokens: false));
        Assert.Equal([304, 32, 120, 119], tokenizer.Encode("word xw", addSpecialTokens: false));
        Assert.DoesNotContain(304, tokenizer.Encode("words sword", addSpecialTokens: false));
        // A token that is not special is text that the model knows; it is parsed in any case.
        Assert.Equal([305, 60, 97, 62], tokenizer.Encode("plain<a>", addSpecialTokens: false,
            parseSpecialTokens: false));
        Assert.Equal("plain", tokenizer.Decode([305]));
    }

    [Fact]
    public void Normalized_added_tokens_are_found_in_the_normalized_text_only()
    {
        var file = TokenizerFile.Bytes();
        file["normalizer"] = JsonNode.Parse(
            """{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Lowercase"}]}""");
        file["added_tokens"] = new JsonArray(
            TokenizerFile.Added(300, "Hey", false, "normalized"), TokenizerFile.Added(301, "RAW", false));
        var tokenizer = TokenizerFile.Load(file);
        Assert.Equal([300, 301, 114, 97, 119, 300], tokenizer.Encode("HEYRAWrawhey", addSpecialTokens: false));
        Assert.Equal("é", tokenizer.Decode(tokenizer.Encode("E\u0301", addSpecialTokens: false)));
    }

    [Fact]
    public void The_post_processor_adds_its_tokens_only_when_asked_for()
    {
        var tokenizer = TokenizerFile.Load(TokenizerFile.SentencePiece("▁ab", "▁ a"));
        Assert.Equal([1, 262, 261], tokenizer.Encode("ab", addSpecialTokens: true));
        Assert.Equal([262, 261], tokenizer.Encode("ab", addSpecialTokens: false));
        Assert.Equal([1], tokenizer.Encode("", addSpecialTokens: true));
    }

    [Fact]
    public void A_byte_level_prefix_space_is_added_once()
    {
        var file = TokenizerFile.Bytes("Ġ a");
        file["pre_tokenizer"]!["add_prefix_space"] = true;
        var tokenizer = TokenizerFile.Load(file);
        Assert.Equal([256], tokenizer.Encode("a", addSpecialTokens: false));
        Assert.Equal([256], tokenizer.Encode(" a", addSpecialTokens: false));
        Assert.Empty(tokenizer.Encode("", addSpecialTokens: false));
    }

    [Fact]
    public void Damaged_files_are_refused_or_work_and_never_crash()
    {
        var source = TokenizerFile.SentencePiece("▁ab", "▁ a").ToJsonString();
        var random = new Random(9);
        for (var round = 0; round < 1500; round++)
        {
            var chars = source.ToCharArray();
            for (var edits = random.Next(1, 4); edits > 0; edits--)
                chars[random.Next(chars.Length)] = (char)random.Next(32, 127);
            try
            {
                var tokenizer = Tokenizer.Parse(new string(chars));
                tokenizer.Decode(tokenizer.Encode("ab ab ü <s>", addSpecialTokens: true));
            }
            catch (ModelException e)
            {
                Assert.StartsWith("tokenizer.json", e.Message, StringComparison.Ordinal);
            }
        }
    }
}
