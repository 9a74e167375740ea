using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Krewe.Abstractions;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>Lists of token ids in a request.</summary>
internal static class TokenIds
{
    public static ImmutableArray<int> Read(RequestField field, int vocabularySize)
    {
        if (field.Value.ValueKind != JsonValueKind.Array) throw field.Wrong("an array of token ids");
        var ids = ImmutableArray.CreateBuilder<int>(field.Value.GetArrayLength());
        foreach (var item in field.Value.EnumerateArray())
        {
            // A prompt has a hundred thousand of them: none gets a path of its own unless it is wrong.
            ids.Add(item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var id) && id >= 0
                && id < vocabularySize
                ? id
                : ReadUnusual(new RequestField(item, $"{field.Path}[{ids.Count}]"), vocabularySize));
        }

        return ids.MoveToImmutable();
    }

    /// <summary>A whole number that is not written like one, or the error of one that is no token id.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int ReadUnusual(RequestField item, int vocabularySize)
    {
        var id = item.AsLong();
        if (id < 0) throw item.Wrong("a token id greater than or equal to 0");
        if (id < vocabularySize) return (int)id;
        throw new KreweException(
            ErrorCode.InvalidRequest,
            $"Token id {id} is out of vocabulary: the model has {vocabularySize} tokens.", item.Path);
    }
}
