using System.Text.Json;
using System.Text.Json.Nodes;

namespace Krewe.Models.Tests.Tokenizers;

/// <summary>Tokenizers of each family's make against an independent implementation (Fixtures/tokenizers/make.mjs).
/// </summary>
public class TokenizerGoldenTests
{
    private static readonly JsonObject Golden =
        JsonNode.Parse(File.ReadAllText(TestFiles.Fixture("tokenizers/golden.json")))!.AsObject();

    public static TheoryData<string> Kinds => [.. Golden["kinds"]!.AsObject().Select(kind => kind.Key)];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_text_gets_the_other_implementations_ids(string kind)
    {
        var tokenizer = Build(kind);
        var ids = Golden["kinds"]![kind]!["ids"]!.AsArray();
        var texts = Golden["texts"]!.AsArray();
        Assert.True(texts.Count > 150);
        for (var i = 0; i < texts.Count; i++)
        {
            var text = texts[i]!.GetValue<string>();
            var own = tokenizer.Encode(text, addSpecialTokens: false);
            Assert.True(
                Ids(ids[i]).SequenceEqual(own),
                $"{JsonSerializer.Serialize(text)}: {string.Join(',', own)}, golden {ids[i]}");
        }

        Assert.Equal(
            Ids(Golden["kinds"]![kind]!["with_special"]), tokenizer.Encode("Hello", addSpecialTokens: true));
    }

    [Fact]
    public void Each_kind_differs_from_the_others_on_some_text()
    {
        var all = Golden["kinds"]!.AsObject().Select(kind => kind.Value!["ids"]!.ToJsonString()).ToList();
        Assert.Equal(5, all.Count);
        Assert.Equal(all.Count, all.Distinct().Count());
    }

    private static Tokenizer Build(string kind)
    {
        var file = JsonNode.Parse(File.ReadAllText(Path.Combine(TestFiles.TinyModel, "tokenizer.json")))!.AsObject();
        var (vocabulary, merges) = (file["model"]!["vocab"]!.AsObject(), file["model"]!["merges"]!.AsArray());
        foreach (var merge in Golden["extra"]!.AsArray().Select(extra => extra!.GetValue<string>()))
        {
            merges.Add(merge);
            vocabulary.TryAdd(merge.Replace(" ", "", StringComparison.Ordinal), 1024 + merges.Count);
        }

        var changes = Golden["kinds"]![kind]!["changes"]!.AsObject();
        foreach (var (name, value) in changes) file[name] = value?.DeepClone();
        // The two SentencePiece kinds share one model.
        if (kind == "Mistral") file["model"] = Golden["kinds"]!["Llama 2"]!["changes"]!["model"]!.DeepClone();
        return TokenizerFile.Load(file);
    }

    private static int[] Ids(JsonNode? node) => [.. node!.AsArray().Select(id => id!.GetValue<int>())];
}
