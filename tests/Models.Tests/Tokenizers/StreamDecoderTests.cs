namespace Krewe.Models.Tests.Tokenizers;

public class StreamDecoderTests
{
    private static readonly Tokenizer Tiny = Tokenizer.Load(TestFiles.TinyModel);

    [Fact]
    public void Pieces_joined_equal_decoding_all_at_once_and_are_whole_text()
    {
        for (var seed = 0; seed < 500; seed++)
        {
            var random = new Random(seed);
            // Real texts, and any ids at all: models do not keep to valid UTF-8.
            var tokens = seed % 2 == 0
                ? Tiny.Encode(RandomText.Any(random, 30), addSpecialTokens: false)
                : [.. Enumerable.Range(0, random.Next(1, 60)).Select(_ => random.Next(1024))];
            foreach (var skip in (bool[])[true, false])
            {
                var decoder = Tiny.CreateStreamDecoder(skip);
                var pieces = tokens.Select(decoder.Append).ToList();
                pieces.Add(decoder.Flush());
                Assert.Equal(Tiny.Decode(tokens, skip), string.Concat(pieces));
                Assert.All(pieces, piece => Assert.False(piece.Length > 0 && char.IsHighSurrogate(piece[^1])));
            }
        }
    }

    [Fact]
    public void A_character_split_over_tokens_is_held_back_until_it_is_complete()
    {
        var tokens = "😀"u8.ToArray().Select(ByteToken).ToArray();
        var decoder = Tiny.CreateStreamDecoder();
        Assert.Equal(["", "", "", "😀"], tokens.Select(decoder.Append));
        Assert.Equal("", decoder.Flush());
    }

    [Fact]
    public void A_character_that_is_cut_off_becomes_one_replacement_character_at_the_end()
    {
        var decoder = Tiny.CreateStreamDecoder();
        Assert.Equal("", string.Concat("😀"u8[..3].ToArray().Select(value => decoder.Append(ByteToken(value)))));
        Assert.Equal("\uFFFD", decoder.Flush());
        Assert.Equal("", decoder.Flush());
    }

    [Fact]
    public void Decoding_each_token_alone_would_lose_characters()
    {
        // The positive control: this is what a stream without held-back bytes would show.
        var tokens = "😀"u8.ToArray().Select(ByteToken).ToArray();
        Assert.NotEqual("😀", string.Concat(tokens.Select(token => Tiny.Decode([token]))));
    }

    private static int ByteToken(byte value) => Tiny.TokenId(ByteAlphabet.CharOf(value).ToString())!.Value;
}
