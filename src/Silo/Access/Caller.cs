using Krewe.Control.Access;
using Microsoft.AspNetCore.Http;

namespace Krewe.Silo.Access;

/// <summary>Who sends a request.</summary>
/// <param name="KeyName">The key's name; null while no keys are configured.</param>
/// <param name="Tenant">Whose limits and partition hold.</param>
/// <param name="Roles">What it may do.</param>
internal sealed record Caller(string? KeyName, TenantPolicy Tenant, AccessRoles Roles)
{
    /// <summary>Everybody, while no keys are configured.</summary>
    public static Caller Anonymous { get; } = new(
        null, new TenantPolicy { Name = TenantPolicy.Anonymous }, AccessRoles.Admin);

    public bool IsAnonymous => KeyName is null;

    public bool Has(AccessRoles role) => (Roles & role) == role;
}

/// <summary>The caller of a request, set by <see cref="AccessMiddleware"/>.</summary>
internal static class CallerExtensions
{
    public static Caller Caller(this HttpContext context) => context.Features.Get<Caller>() ?? Access.Caller.Anonymous;
}
