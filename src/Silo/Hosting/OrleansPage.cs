using Krewe.Control.Access;
using Krewe.Silo.Access;
using Microsoft.AspNetCore.Builder;
using Orleans.Dashboard;

namespace Krewe.Silo.Hosting;

/// <summary>Orleans' own dashboard: grain by grain, silo by silo.</summary>
internal static class OrleansPage
{
    /// <summary>Where it is mapped.</summary>
    public static string? Path => "/orleans";

    /// <summary>For operators alone: it shows grains' states.</summary>
    public static void Map(WebApplication app) => app.MapOrleansDashboard(Path!).RequireRole(AccessRoles.Operator);
}
