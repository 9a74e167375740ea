using System.Text.Json;
using System.Text.Json.Nodes;

namespace Krewe.Models.Tests.Tokenizers;

/// <summary>Small tokenizer.json texts for tests.</summary>
internal static class TokenizerFile
{
    public const string ByteLevel =
        """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}""";

    /// <summary>All 256 bytes, then one token for each merge; ids in that order.</summary>
    public static JsonObject Bytes(params string[] merges)
    {
        var vocabulary = new JsonObject();
        for (var b = 0; b < 256; b++)
            vocabulary[ByteAlphabet.CharOf((byte)b).ToString()] = b;
        foreach (var merge in merges)
            vocabulary[merge.Replace(" ", "", StringComparison.Ordinal)] = vocabulary.Count;
        return new JsonObject
        {
            ["added_tokens"] = new JsonArray(),
            ["normalizer"] = null,
            ["pre_tokenizer"] = JsonNode.Parse(ByteLevel),
            ["post_processor"] = null,
            ["decoder"] = JsonNode.Parse(ByteLevel),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. merges.Select(merge => JsonValue.Create(merge))]),
            },
        };
    }

    /// <summary>Llama 2's shape: unk, begin and end, 256 byte tokens, then characters and merges.</summary>
    public static JsonObject SentencePiece(string characters, params string[] merges)
    {
        var vocabulary = new JsonObject { ["<unk>"] = 0, ["<s>"] = 1, ["</s>"] = 2 };
        for (var b = 0; b < 256; b++)
            vocabulary[$"<0x{b:X2}>"] = 3 + b;
        foreach (var character in characters)
            vocabulary[character.ToString()] = vocabulary.Count;
        foreach (var merge in merges)
            vocabulary[merge.Replace(" ", "", StringComparison.Ordinal)] = vocabulary.Count;
        return new JsonObject
        {
            ["added_tokens"] = new JsonArray(Added(0, "<unk>"), Added(1, "<s>"), Added(2, "</s>")),
            ["normalizer"] = JsonNode.Parse("""
                {"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},
                 {"type":"Replace","pattern":{"String":" "},"content":"▁"}]}
                """),
            ["pre_tokenizer"] = null,
            ["post_processor"] = JsonNode.Parse("""
                {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},
                  {"Sequence":{"id":"A","type_id":0}}],
                 "pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]}}}
                """),
            ["decoder"] = JsonNode.Parse("""
                {"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},
                 {"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}
                """),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["unk_token"] = "<unk>",
                ["fuse_unk"] = true,
                ["byte_fallback"] = true,
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. merges.Select(merge => JsonValue.Create(merge))]),
            },
        };
    }

    public static JsonObject Added(int id, string content, bool special = true, params string[] flags)
    {
        var token = new JsonObject { ["id"] = id, ["content"] = content, ["special"] = special };
        foreach (var flag in (string[])["single_word", "lstrip", "rstrip", "normalized"])
            token[flag] = flags.Contains(flag);
        return token;
    }

    public static Tokenizer Load(JsonObject file) => Tokenizer.Parse(file.ToJsonString(new JsonSerializerOptions()));
}
