using System.Text.Json;

namespace Krewe.Models.Tests.Tokenizers;

/// <summary>The bundled tokenizer against the ids that its own trainer gives (tools/tiny-model/ids.py).</summary>
public class TinyTokenizerTests
{
    private static readonly Tokenizer Tiny = Tokenizer.Load(TestFiles.TinyModel);
    private static readonly JsonElement Golden = TestFiles.Json("tiny-ids.json");

    [Fact]
    public void Every_golden_text_gets_the_trainers_ids_and_comes_back()
    {
        foreach (var item in Golden.GetProperty("texts").EnumerateArray())
        {
            var text = item.GetProperty("text").GetString()!;
            var ids = Tiny.Encode(text, addSpecialTokens: false);
            Assert.Equal(Ids(item), ids);
            Assert.Equal(text, Tiny.Decode(ids));
        }
    }

    [Fact]
    public void A_changed_golden_text_would_be_noticed()
    {
        var item = Golden.GetProperty("texts").EnumerateArray()
            .First(c => c.GetProperty("text").GetString() == "Hello");
        Assert.NotEqual(Ids(item), Tiny.Encode("Hallo", addSpecialTokens: false));
    }

    [Fact]
    public void The_chat_template_and_special_tokens_give_the_trainers_ids()
    {
        using var folder = ModelFolder.Open(TestFiles.TinyModel, openWeights: false);
        foreach (var chat in Golden.GetProperty("chats").EnumerateArray())
        {
            var messages = chat.GetProperty("turns").EnumerateArray()
                .Select(turn => new ChatMessage(turn[0].GetString()!, turn[1].GetString())).ToList();
            var prompt = folder.ChatTemplate!.Render(new ChatTemplateInput
            {
                Messages = messages,
                BosToken = folder.BosToken,
                EosToken = folder.EosToken,
            });
            Assert.Equal(Ids(chat), folder.Tokenizer.Encode(prompt, addSpecialTokens: false));
        }
    }

    [Fact]
    public void Special_tokens_in_text_are_parsed_only_when_asked_for()
    {
        foreach (var token in Golden.GetProperty("special").EnumerateObject())
        {
            var id = token.Value.GetInt32();
            Assert.Equal([id], Tiny.Encode(token.Name, addSpecialTokens: false));
            Assert.True(Tiny.IsSpecial(id));
            Assert.Equal(token.Name, Tiny.TokenText(id));
            Assert.Equal(id, Tiny.TokenId(token.Name));
            Assert.Equal("", Tiny.Decode([id]));
            Assert.Equal(token.Name, Tiny.Decode([id], skipSpecialTokens: false));

            var plain = Tiny.Encode(token.Name, addSpecialTokens: false, parseSpecialTokens: false);
            Assert.DoesNotContain(id, plain);
            Assert.Equal(token.Name, Tiny.Decode(plain));
        }
    }

    [Fact]
    public void Any_text_survives_encoding_and_decoding()
    {
        for (var seed = 0; seed < 2000; seed++)
        {
            var text = RandomText.Any(new Random(seed), 60);
            Assert.Equal(text, Tiny.Decode(Tiny.Encode(text, addSpecialTokens: false), skipSpecialTokens: false));
        }
    }

    [Fact]
    public void Half_a_surrogate_pair_becomes_the_replacement_character() =>
        Assert.Equal("a\uFFFDb", Tiny.Decode(Tiny.Encode("a\uD83Db", addSpecialTokens: false)));

    [Fact]
    public void Ids_without_a_token_are_harmless()
    {
        Assert.Equal(1024, Tiny.VocabularySize);
        foreach (var id in (int[])[-1, 1024, int.MaxValue, int.MinValue])
        {
            Assert.Null(Tiny.TokenText(id));
            Assert.False(Tiny.IsSpecial(id));
            Assert.True(Tiny.TokenBytes(id).IsEmpty);
            Assert.Equal("", Tiny.Decode([id], skipSpecialTokens: false));
        }

        Assert.Null(Tiny.TokenId("no such token"));
    }

    [Fact]
    public void Encoding_from_many_threads_gives_the_same_ids()
    {
        var texts = Enumerable.Range(0, 500).Select(seed => RandomText.Any(new Random(seed), 200)).ToList();
        var expected = texts.Select(text => Tokenizer.Load(TestFiles.TinyModel).Encode(text, false)).Take(20).ToList();
        Parallel.For(0, 2000, i =>
        {
            var ids = Tiny.Encode(texts[i % texts.Count], addSpecialTokens: false);
            if (i % texts.Count < expected.Count)
                Assert.Equal(expected[i % texts.Count], ids);
        });
    }

    private static int[] Ids(JsonElement item) =>
        [.. item.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
}
