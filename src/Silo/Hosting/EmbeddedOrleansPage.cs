using Microsoft.AspNetCore.Builder;

namespace Krewe.Silo.Hosting;

/// <summary>Orleans' own dashboard: there is none where Orleans does not run.</summary>
internal static class OrleansPage
{
    /// <summary>Null = not mapped.</summary>
    public static string? Path => null;

    /// <summary>Maps nothing.</summary>
    public static void Map(WebApplication app) => _ = app;
}
