using System.Text.Json.Nodes;

namespace Krewe.Models.Tests.Tokenizers;

/// <summary>Llama 2 and Mistral: spaces as U+2581, unknown characters as bytes.</summary>
public class SentencePieceTests
{
    private static readonly string[] Merges = ["▁ a", "a b", "▁a b", "▁ ▁", "▁▁ ▁▁", "b a", "▁ b"];

    private static readonly Tokenizer Small = TokenizerFile.Load(TokenizerFile.SentencePiece("▁abc", Merges));

    [Theory]
    [InlineData("ab", "▁ab")]
    [InlineData("ab ab", "▁ab|▁ab")]
    [InlineData("a  b", "▁a|▁▁|b")]
    [InlineData(" a", "▁|▁a")]
    [InlineData("aü", "▁a|<0xC3>|<0xBC>")]
    [InlineData("a\n", "▁a|<0x0A>")]
    [InlineData("<s>ab</s>a", "<s>|▁ab|</s>|▁a")]
    public void Texts_split_as_worked_out_by_hand(string text, string expected) => Assert.Equal(
        expected.Split('|'), Small.Encode(text, addSpecialTokens: false).Select(id => Small.TokenText(id)!));

    [Fact]
    public void Any_text_survives_encoding_and_decoding()
    {
        for (var seed = 0; seed < 1000; seed++)
        {
            // The marker itself is the one character that decodes as a space; added tokens each start a new prefix.
            var text = RandomText.Any(new Random(seed), 40).Replace("▁", "", StringComparison.Ordinal)
                .Replace("<s>", "", StringComparison.Ordinal);
            Assert.Equal(text, Small.Decode(Small.Encode(text, addSpecialTokens: true)));
        }
    }

    [Fact]
    public void Cutting_at_markers_changes_no_token()
    {
        // A merge with the marker behind a letter, never applied, switches the cutting off.
        var file = TokenizerFile.SentencePiece("▁abcq", Merges);
        file["model"]!["vocab"]!["q▁"] = 900;
        file["model"]!["merges"]!.AsArray().Add("q ▁");
        var uncut = TokenizerFile.Load(file);
        for (var seed = 0; seed < 500; seed++)
        {
            var random = new Random(seed);
            var length = random.Next(1, 200);
            var text = new string([.. Enumerable.Range(0, length).Select(_ => "aabbc   "[random.Next(8)])]);
            Assert.Equal(
                uncut.Encode(text, addSpecialTokens: false).Select(id => uncut.TokenText(id)),
                Small.Encode(text, addSpecialTokens: false).Select(id => Small.TokenText(id)));
        }
    }

    [Fact]
    public void A_merge_behind_a_letter_is_applied_across_words()
    {
        var file = TokenizerFile.SentencePiece("▁ab", "a ▁");
        Assert.Equal(["▁", "a▁", "b"], Texts(TokenizerFile.Load(file), "a b"));
    }

    [Theory]
    [InlineData("always", "▁ab|<s>|▁ab")]
    [InlineData("first", "▁ab|<s>|ab")]
    [InlineData("never", "ab|<s>|ab")]
    public void Metaspace_prefixes_follow_their_scheme(string scheme, string expected)
    {
        var file = TokenizerFile.SentencePiece("▁abc", Merges);
        file["normalizer"] = null;
        file["pre_tokenizer"] = new JsonObject
        {
            ["type"] = "Metaspace",
            ["replacement"] = "▁",
            ["prepend_scheme"] = scheme,
            ["split"] = false,
        };
        Assert.Equal(expected.Split('|'), Texts(TokenizerFile.Load(file), "ab<s>ab"));
    }

    [Fact]
    public void A_stream_keeps_the_first_space_only_when_it_continues_a_text()
    {
        var ids = Small.Encode("ab ab", addSpecialTokens: false);
        Assert.Equal("ab ab", Join(Small.CreateStreamDecoder(), ids));
        Assert.Equal(" ab ab", Join(Small.CreateStreamDecoder(continuation: true), ids));
        Assert.Equal("ab ab", Small.Decode(ids));
    }

    [Fact]
    public void Byte_tokens_join_to_characters_in_a_stream()
    {
        var ids = Small.Encode("aü", addSpecialTokens: false);
        var decoder = Small.CreateStreamDecoder();
        Assert.Equal(["a", "", "ü"], ids.Select(decoder.Append));
    }

    private static string Join(StreamDecoder decoder, int[] ids) =>
        string.Concat(ids.Select(decoder.Append)) + decoder.Flush();

    private static IEnumerable<string?> Texts(Tokenizer tokenizer, string text) =>
        tokenizer.Encode(text, addSpecialTokens: false).Select(id => tokenizer.TokenText(id));
}
