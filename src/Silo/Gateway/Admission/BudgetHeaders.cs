using System.Globalization;
using Krewe.Control.Admission;
using Microsoft.AspNetCore.Http;

namespace Krewe.Silo.Gateway.Admission;

/// <summary>Tells a client its allowance as OpenAI does; nothing when it has none.</summary>
internal static class BudgetHeaders
{
    public static void Write(HttpResponse response, BudgetState? budget)
    {
        Write(response, "requests", budget?.Requests);
        Write(response, "tokens", budget?.Tokens);
    }

    private static void Write(HttpResponse response, string what, BudgetLevel? level)
    {
        if (level is null) return;
        var culture = CultureInfo.InvariantCulture;
        response.Headers[$"x-ratelimit-limit-{what}"] = level.Limit.ToString(culture);
        response.Headers[$"x-ratelimit-remaining-{what}"] = Math.Max(0, Math.Floor(level.Left)).ToString(culture);
        response.Headers[$"x-ratelimit-reset-{what}"] = $"{level.Full.TotalSeconds.ToString("0.###", culture)}s";
    }
}
