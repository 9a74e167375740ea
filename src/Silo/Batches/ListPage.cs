using System.Globalization;
using Krewe.Abstractions;
using Microsoft.AspNetCore.Http;

namespace Krewe.Silo.Batches;

/// <summary>What a client asks of a list: how many, and behind which.</summary>
internal sealed record ListPage(int Limit, string? After)
{
    private const int LimitUsual = 20;
    private const int LimitMax = 100;

    public static ListPage Read(HttpRequest request)
    {
        var limit = LimitUsual;
        if (request.Query["limit"] is [{ } text]
            && (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out limit)
                || limit is < 1 or > LimitMax))
        {
            throw new KreweException(
                ErrorCode.InvalidRequest, $"'limit' is '{text}'; it must be 1 to {LimitMax}.", "limit");
        }

        return new ListPage(limit, request.Query["after"] is [{ Length: > 0 } after] ? after : null);
    }

    /// <summary>The page of a list that is in order, and whether more comes behind it.</summary>
    public (List<T> Page, bool HasMore) Of<T>(IEnumerable<T> all, Func<T, string> id)
    {
        var rest = After is null ? all : all.SkipWhile(item => id(item) != After).Skip(1);
        var page = rest.Take(Limit + 1).ToList();
        return page.Count > Limit ? (page[..Limit], true) : (page, false);
    }
}
