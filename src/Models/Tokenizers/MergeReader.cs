using System.Text.Json;

namespace Krewe.Models;

/// <summary>The <c>model.merges</c> of tokenizer.json: "left right" strings, or pairs in files since 2024.</summary>
internal static class MergeReader
{
    /// <summary>What SentencePiece writes for a space: U+2581.</summary>
    public const char SpaceMarker = '\u2581';

    /// <param name="markersOnlyLead">Whether no merge puts a space marker behind something else.</param>
    public static MergeTable Read(JsonField model, Vocabulary vocabulary, out bool markersOnlyLead)
    {
        var table = new Dictionary<ulong, (int Rank, int Token)>();
        var rank = 0;
        markersOnlyLead = true;
        foreach (var field in model.Required("merges").Items())
        {
            var (left, right) = ReadPair(field);
            markersOnlyLead &= right[0] != SpaceMarker || left[^1] == SpaceMarker;
            var key = MergeTable.Key(Id(field, vocabulary, left), Id(field, vocabulary, right));
            table[key] = (rank++, Id(field, vocabulary, left + right));
        }

        return new MergeTable(table);
    }

    private static (string Left, string Right) ReadPair(JsonField field)
    {
        string[] parts = field.Value.ValueKind == JsonValueKind.String
            ? field.AsString().Split(' ')
            : [.. field.Items().Select(part => part.AsString())];
        return parts is [{ Length: > 0 }, { Length: > 0 }]
            ? (parts[0], parts[1])
            : throw field.Wrong("two tokens, as \"left right\" or [left, right]");
    }

    private static int Id(JsonField field, Vocabulary vocabulary, string token) =>
        vocabulary.IdOf(token)
        ?? throw field.Error($"\"{field.Path}\" needs the token \"{token}\", which is not in \"model.vocab\"");
}
