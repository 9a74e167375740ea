using Microsoft.AspNetCore.Cors.Infrastructure;

namespace Krewe.Silo.Access;

/// <summary>Which web sites' pages may call the API. Off unless sites are named; operators' actions stay closed to
/// them.</summary>
internal static class Cors
{
    /// <summary>What a page needs to read of an answer's headers.</summary>
    private static readonly string[] Exposed = ["x-request-id", "retry-after", "x-ratelimit-remaining-requests",
        "x-ratelimit-remaining-tokens"];

    public static void Allow(CorsPolicyBuilder policy, IReadOnlyList<string> origins)
    {
        if (origins.Contains("*"))
            policy.AllowAnyOrigin();
        else
            policy.WithOrigins([.. origins]);
        policy.AllowAnyHeader().WithMethods("GET", "POST", "DELETE").WithExposedHeaders(Exposed);
    }
}
