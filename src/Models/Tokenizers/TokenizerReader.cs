namespace Krewe.Models;

/// <summary>The parts of a tokenizer, read and checked.</summary>
internal sealed record TokenizerParts(
    Vocabulary Vocabulary, BpeModel Model, AddedTokens RawAdded, AddedTokens NormalizedAdded, Normalizer Normalizer,
    PreTokenizer PreTokenizer, PostProcessor PostProcessor, TokenDecoder Decoder);

/// <summary>tokenizer.json to <see cref="TokenizerParts"/>; what is not implemented is refused by name.</summary>
internal static class TokenizerReader
{
    public static TokenizerParts Read(JsonField root)
    {
        var model = root.Required("model");
        DemandSupportedModel(model);
        var ids = ReadVocabulary(model);
        var added = ReadAddedTokens(root, ids);
        var normalizer = Normalizer.Read(root.Optional("normalizer"));
        var preTokenizer = PreTokenizerReader.Read(root.Optional("pre_tokenizer"));
        var decoder = TokenDecoder.Read(root);
        if (decoder.ByteLevel != preTokenizer.ByteLevel)
            throw root.Error("\"pre_tokenizer\" and \"decoder\" must both be byte-level, or neither");

        var vocabulary = new Vocabulary(ids, added, decoder.ToBytes);
        var tokenOfByte = ReadByteTokens(root, model, vocabulary, preTokenizer.ByteLevel);
        var merges = MergeReader.Read(model, vocabulary, out var markersOnlyLead);
        if (!preTokenizer.ByteLevel && preTokenizer.Splitters.Count == 0 && markersOnlyLead)
            preTokenizer.Splitters.Add(new SpaceRunSplitter(MergeReader.SpaceMarker));

        var ignoreMerges = model.Optional("ignore_merges")?.AsBool() ?? false;
        return new TokenizerParts(
            vocabulary,
            new BpeModel(vocabulary, merges, tokenOfByte, preTokenizer.ByteLevel, ignoreMerges),
            new AddedTokens(added.Where(token => !token.Normalized).ToList()),
            new AddedTokens(added.Where(token => token.Normalized).ToList(), normalizer.Apply),
            normalizer,
            preTokenizer,
            PostProcessor.Read(root.Optional("post_processor"), vocabulary),
            decoder);
    }

    private static void DemandSupportedModel(JsonField model)
    {
        // Files of before 2020 have no type; they hold BPE then, too.
        if (model.Optional("type") is { } type && type.AsString() != "BPE")
            throw type.Error($"the tokenizer model \"{type.AsString()}\" is not supported; only BPE is");
        if (model.Optional("dropout") is { } dropout && dropout.AsDouble() != 0)
            throw dropout.Error("\"model.dropout\" is not supported: encoding would be random");
        foreach (var name in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (model.Optional(name) is { } affix && affix.AsString().Length > 0)
                throw affix.Error($"\"model.{name}\" is not supported");
        }
    }

    private static Dictionary<string, int> ReadVocabulary(JsonField model)
    {
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (text, id) in model.Required("vocab").Members())
        {
            if (!ids.TryAdd(text, id.AsInt(0, Vocabulary.IdMax)))
                throw id.Error($"the token \"{text}\" is in \"model.vocab\" twice");
        }

        return ids;
    }

    /// <summary>Adds the tokens' ids to <paramref name="ids"/>.</summary>
    private static List<AddedToken> ReadAddedTokens(JsonField root, Dictionary<string, int> ids)
    {
        var tokens = new List<AddedToken>();
        if (root.Optional("added_tokens") is not { } list)
            return tokens;
        foreach (var field in list.Items())
        {
            var special = Flag(field, "special");
            var token = new AddedToken(
                field.Required("id").AsInt(0, Vocabulary.IdMax), field.Required("content").AsString(), special,
                Flag(field, "single_word"), Flag(field, "lstrip"), Flag(field, "rstrip"),
                field.Optional("normalized")?.AsBool() ?? !special);
            if (ids.TryGetValue(token.Content, out var known) && known != token.Id)
                throw field.Error($"the added token \"{token.Content}\" has the id {token.Id}, "
                    + $"in \"model.vocab\" it has {known}");
            ids[token.Content] = token.Id;
            tokens.Add(token);
        }

        return tokens;
    }

    private static bool Flag(JsonField field, string name) => field.Optional(name)?.AsBool() ?? false;

    private static int[] ReadByteTokens(JsonField root, JsonField model, Vocabulary vocabulary, bool byteLevel)
    {
        if (!byteLevel && !(model.Optional("byte_fallback")?.AsBool() ?? false))
            throw root.Error("neither a ByteLevel pre-tokenizer nor \"model.byte_fallback\" true is there; some texts "
                + "could not be encoded. Only byte-level and byte-fallback tokenizers are supported");
        var tokens = new int[256];
        for (var b = 0; b < 256; b++)
        {
            var text = byteLevel ? ByteAlphabet.CharOf((byte)b).ToString() : $"<0x{b:X2}>";
            tokens[b] = vocabulary.IdOf(text)
                ?? throw root.Error($"the token \"{text}\" for byte 0x{b:X2} is missing from "
                + "the vocabulary; texts with that byte could not be encoded. Use the model's complete tokenizer.json");
        }

        return tokens;
    }
}
