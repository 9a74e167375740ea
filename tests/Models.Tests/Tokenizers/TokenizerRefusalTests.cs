using System.Text.Json.Nodes;

namespace Krewe.Models.Tests.Tokenizers;

public class TokenizerRefusalTests
{
    public static TheoryData<string, string, string> Changes => new()
    {
        { "model.type", "\"Unigram\"", "\"Unigram\" is not supported" },
        { "model.type", "\"WordPiece\"", "\"WordPiece\" is not supported" },
        { "model.dropout", "0.1", "dropout" },
        { "model.end_of_word_suffix", "\"</w>\"", "end_of_word_suffix" },
        { "model.continuing_subword_prefix", "\"##\"", "continuing_subword_prefix" },
        { "model.merges", "[\"a zz\"]", "\"zz\", which is not in" },
        { "model.merges", "[\"a\"]", "two tokens" },
        { "model.merges", "[\"a b c\"]", "two tokens" },
        { "model.merges", "[[\"a\"]]", "two tokens" },
        { "model.merges", "[[\"\", \"a\"]]", "two tokens" },
        { "model.vocab.a", "\"x\"", "model.vocab.a" },
        { "model.vocab.a", "-3", "model.vocab.a" },
        { "model.vocab.a", "99999999999", "model.vocab.a" },
        { "model.vocab.a", "98", "is given to" },
        { "normalizer", """{"type":"NFKC"}""", "normalizer \"NFKC\"" },
        { "normalizer", """{"type":"Sequence","normalizers":[{"type":"BertNormalizer"}]}""", "BertNormalizer" },
        { "normalizer", """{"type":"Replace","pattern":{"Regex":"("},"content":""}""", "the pattern \"(\"" },
        { "pre_tokenizer", """{"type":"BertPreTokenizer"}""", "pre-tokenizer \"BertPreTokenizer\"" },
        { "pre_tokenizer", """{"type":"Split","pattern":{"Regex":"a++"},"behavior":"Isolated"}""",
            "the pattern \"a++\"" },
        { "pre_tokenizer", """{"type":"Split","pattern":{"Regex":"a"},"behavior":"Odd"}""", "behavior" },
        { "pre_tokenizer", "null", "both be byte-level" },
        { "decoder", "null", "\"decoder\" is missing" },
        { "decoder", """{"type":"WordPiece"}""", "decoder \"WordPiece\"" },
        { "post_processor", """{"type":"BertProcessing"}""", "post-processor \"BertProcessing\"" },
        { "post_processor", """{"type":"TemplateProcessing","single":[],"special_tokens":{}}""", "the sequence once" },
        {
            "post_processor",
            """
            {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],
             "special_tokens":{"<s>":{"ids":[7777]}}}
            """,
            "7777, which is not a token"
        },
        { "added_tokens", """[{"id":3,"content":"a"}]""", "in \"model.vocab\" it has" },
        { "added_tokens", """[{"id":3}]""", "content" },
        { "model", "null", "\"model\" is missing" },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public void What_is_not_supported_is_refused_by_name(string path, string json, string part)
    {
        var file = TokenizerFile.Bytes("a b");
        JsonNode node = file;
        var names = path.Split('.');
        foreach (var name in names[..^1])
            node = node[name]!;
        node[names[^1]] = JsonNode.Parse(json);
        var error = Assert.Throws<ModelException>(() => TokenizerFile.Load(file));
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
        Assert.StartsWith("tokenizer.json: ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_unchanged_file_is_accepted() =>
        Assert.Equal([256, 99], TokenizerFile.Load(TokenizerFile.Bytes("a b")).Encode("abc", addSpecialTokens: false));

    [Fact]
    public void A_missing_byte_token_is_named()
    {
        var bytes = TokenizerFile.Bytes();
        bytes["model"]!["vocab"]!.AsObject().Remove("Ġ");
        Assert.Contains("\"Ġ\" for byte 0x20", Assert.Throws<ModelException>(() => TokenizerFile.Load(bytes)).Message,
            StringComparison.Ordinal);

        var pieces = TokenizerFile.SentencePiece("ab");
        pieces["model"]!["vocab"]!.AsObject().Remove("<0x0A>");
        Assert.Contains("\"<0x0A>\" for byte 0x0A",
            Assert.Throws<ModelException>(() => TokenizerFile.Load(pieces)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_tokenizer_that_could_lose_characters_is_refused()
    {
        var file = TokenizerFile.SentencePiece("ab");
        file["model"]!["byte_fallback"] = false;
        Assert.Contains("byte_fallback", Assert.Throws<ModelException>(() => TokenizerFile.Load(file)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Broken_json_and_a_missing_file_name_the_file()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("tokenizer.json: the file is missing",
            Assert.Throws<ModelException>(() => Tokenizer.Load(folder.FullPath)).Message, StringComparison.Ordinal);
        folder.Write("tokenizer.json", "{\"model\": ");
        Assert.Contains("tokenizer.json: not valid JSON",
            Assert.Throws<ModelException>(() => Tokenizer.Load(folder.FullPath)).Message, StringComparison.Ordinal);
    }
}
