using Krewe.Control.Access;
using Microsoft.AspNetCore.Builder;

namespace Krewe.Silo.Access;

/// <summary>What an endpoint asks of its caller. An endpoint without a rule is closed to everybody.</summary>
/// <param name="Role">Null = open to everybody.</param>
/// <param name="IsAction">It changes the cluster: it is put down in the audit log, other web sites' pages cannot ask
/// for it, and without keys only this machine can.</param>
internal sealed record AccessRule(AccessRoles? Role, bool IsAction = false);

/// <summary>How endpoints say it: <c>routes.MapGet(...).RequireRole(AccessRoles.Operator)</c>.</summary>
internal static class AccessRules
{
    public static T RequireRole<T>(this T endpoint, AccessRoles role)
        where T : IEndpointConventionBuilder => endpoint.WithRule(new AccessRule(role));

    /// <summary>As <see cref="RequireRole{T}"/>, for what changes the cluster.</summary>
    public static T RequireRoleForAction<T>(this T endpoint, AccessRoles role)
        where T : IEndpointConventionBuilder => endpoint.WithRule(new AccessRule(role, IsAction: true));

    /// <summary>Needs no key: it tells nothing and changes nothing.</summary>
    public static T OpenToAll<T>(this T endpoint)
        where T : IEndpointConventionBuilder => endpoint.WithRule(new AccessRule(null));

    private static T WithRule<T>(this T endpoint, AccessRule rule)
        where T : IEndpointConventionBuilder
    {
        endpoint.Add(builder => builder.Metadata.Add(rule));
        return endpoint;
    }
}
