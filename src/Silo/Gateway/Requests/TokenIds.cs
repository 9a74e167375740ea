using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>Lists of token ids in a request.</summary>
internal static class TokenIds
{
    public static ImmutableArray<int> Read(RequestField field, int vocabularySize)
    {
        var items = field.Items("an array of token ids");
        var ids = ImmutableArray.CreateBuilder<int>(items.Length);
        foreach (var item in items)
        {
            var id = item.AsLong();
            if (id < 0) throw item.Wrong("a token id greater than or equal to 0");
            if (id >= vocabularySize)
            {
                throw new KreweException(
                    ErrorCode.InvalidRequest,
                    $"Token id {id} is out of vocabulary: the model has {vocabularySize} tokens.", item.Path);
            }

            ids.Add((int)id);
        }

        return ids.MoveToImmutable();
    }
}
