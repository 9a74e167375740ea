using System.Net;
using System.Text;
using Krewe.Abstractions;
using Krewe.Control.Access;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Krewe.Silo.Access;

/// <summary>
/// Lets a request through to its endpoint when the endpoint's <see cref="AccessRule"/> allows its caller. It stands
/// before everything that reads a body: a stranger costs headers and a hash.
/// </summary>
internal sealed class AccessMiddleware(RequestDelegate next, KeyRing keys, AuditLog audit)
{
    private const string Bearer = "Bearer ";
    private const string Basic = "Basic ";

    public async Task InvokeAsync(HttpContext context)
    {
        // Anything else is routing's own answer, 404 or 405.
        if (context.GetEndpoint() is not RouteEndpoint endpoint)
        {
            await next(context);
            return;
        }

        var rule = endpoint.Metadata.GetMetadata<AccessRule>() ?? throw new KreweException(
            ErrorCode.PermissionDenied, $"{endpoint.RoutePattern.RawText} says of nobody that it may be used.");
        if (rule.Role is { } role) Admit(context, role, rule.IsAction);
        if (!rule.IsAction)
        {
            await next(context);
            return;
        }

        var status = StatusCodes.Status500InternalServerError;
        try
        {
            await next(context);
            status = context.Response.StatusCode;
        }
        catch (KreweException e)
        {
            status = ErrorCatalog.Describe(e.Code).HttpStatus;
            throw;
        }
        finally
        {
            audit.Add(context, status);
        }
    }

    private void Admit(HttpContext context, AccessRoles role, bool isAction)
    {
        // Other sites' pages run in the browsers of those who may operate.
        if (isAction && IsFromAnotherSite(context.Request))
        {
            throw new KreweException(
                ErrorCode.PermissionDenied, "A page of another web site may not operate this cluster.", "Origin");
        }

        var caller = keys.IsClosed ? Identify(context, role) : Access.Caller.Anonymous;
        if (caller.IsAnonymous && isAction && !IsFromThisMachine(context))
        {
            throw new KreweException(
                ErrorCode.PermissionDenied,
                "Without API keys this cluster can only be operated from its gateway's own machine. Start the silo "
                + "with --api-keys and send a key that has the role 'operator'.");
        }

        if (!caller.Has(role))
        {
            audit.Denied(context, caller);
            var missing = role.ToString().ToLowerInvariant();
            throw new KreweException(
                ErrorCode.PermissionDenied, $"The key '{caller.KeyName}' lacks the role '{missing}' that this needs.");
        }

        context.Features.Set(caller);
    }

    private Caller Identify(HttpContext context, AccessRoles role)
    {
        var key = KeyOf(context.Request.Headers);
        if (key is not null && keys.Identify(key) is { } caller) return caller;
        // A browser asks its user for a key where a page is.
        var asksBrowser = role == AccessRoles.Operator
            && context.Request.Headers.Accept.ToString().Contains("text/html", StringComparison.Ordinal);
        context.Response.Headers.WWWAuthenticate =
            asksBrowser ? "Basic realm=\"Krewe: an API key as password\", charset=\"UTF-8\"" : "Bearer";
        throw new KreweException(
            ErrorCode.InvalidApiKey,
            key is null
                ? "No API key was sent. Send one as 'Authorization: Bearer KEY'."
                : "The API key is not known here, or has expired. Ask the operator of this cluster for one.");
    }

    /// <summary>As OpenAI's clients send it, as Anthropic's do, or as the password that a browser was given.</summary>
    private static string? KeyOf(IHeaderDictionary headers)
    {
        if (headers["x-api-key"] is [{ Length: > 0 } named]) return named;
        if (headers.Authorization is not [{ } text]) return null;
        if (text.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase)) return text[Bearer.Length..].Trim();
        if (!text.StartsWith(Basic, StringComparison.OrdinalIgnoreCase)) return null;
        var bytes = new byte[text.Length];
        if (!Convert.TryFromBase64String(text[Basic.Length..].Trim(), bytes, out var length)) return "";
        var pair = Encoding.UTF8.GetString(bytes.AsSpan(0, length));
        return pair[(pair.IndexOf(':', StringComparison.Ordinal) + 1)..];
    }

    private static bool IsFromAnotherSite(HttpRequest request)
    {
        if (request.Headers["Sec-Fetch-Site"] is [{ } site] && site is not ("same-origin" or "none")) return true;
        return request.Headers.Origin is [{ } origin]
            && !(Uri.TryCreate(origin, UriKind.Absolute, out var from)
                && from.Authority.Equals(request.Host.Value, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>Not through a proxy, and not by a name that a stranger's page had resolved to this machine.</summary>
    private static bool IsFromThisMachine(HttpContext context)
    {
        var headers = context.Request.Headers;
        var host = context.Request.Host.Host.Trim('[', ']');
        return context.Connection.RemoteIpAddress is { } address && IPAddress.IsLoopback(address)
            && headers["Forwarded"].Count == 0 && headers["X-Forwarded-For"].Count == 0
            && (host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
                || (IPAddress.TryParse(host, out var named) && IPAddress.IsLoopback(named)));
    }
}
