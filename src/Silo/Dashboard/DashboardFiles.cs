using System.Collections.Frozen;
using System.Security.Cryptography;
using Krewe.Abstractions;
using Microsoft.AspNetCore.Http;

namespace Krewe.Silo.Dashboard;

/// <summary>
/// The page's files, embedded in the program. They hold no data of a cluster, so anybody may load them; what they show
/// comes from endpoints that ask for the operator's role.
/// </summary>
internal static class DashboardFiles
{
    private const string Index = "index.html";
    private const string Prefix = "dashboard/";

    /// <summary>
    /// Nothing from elsewhere, nothing inline, in nobody's frame: what a stored text could ever bring into the page
    /// cannot run.
    /// </summary>
    private const string ContentPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private static readonly FrozenDictionary<string, (byte[] Bytes, string ETag)> Files = Load();

    /// <summary>GET /dashboard/{**path}.</summary>
    public static async Task ServeAsync(HttpContext context)
    {
        var path = context.Request.RouteValues["path"] as string;
        // Relative addresses need the slash: so the page works below any prefix of a proxy.
        if (path is null && !context.Request.Path.Value!.EndsWith('/'))
        {
            context.Response.Redirect("dashboard/");
            return;
        }

        if (!Files.TryGetValue(path is null or "" ? Index : path, out var file))
            throw new KreweException(ErrorCode.NotFound, $"The dashboard has no '{path}'; its page is at /dashboard.");
        var response = context.Response;
        response.Headers.ContentSecurityPolicy = ContentPolicy;
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers.CacheControl = "no-cache";
        response.Headers.ETag = file.ETag;
        if (context.Request.Headers.IfNoneMatch.Contains(file.ETag))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        response.ContentType = TypeOf(path is null or "" ? Index : path);
        response.ContentLength = file.Bytes.Length;
        await response.Body.WriteAsync(file.Bytes, context.RequestAborted);
    }

    private static string TypeOf(string path) => Path.GetExtension(path) switch
    {
        ".html" => "text/html; charset=utf-8",
        ".js" => "text/javascript; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        ".svg" => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    };

    private static FrozenDictionary<string, (byte[] Bytes, string ETag)> Load()
    {
        var assembly = typeof(DashboardFiles).Assembly;
        var files = new Dictionary<string, (byte[], string)>(StringComparer.Ordinal);
        foreach (var name in assembly.GetManifestResourceNames())
        {
            if (!name.StartsWith(Prefix, StringComparison.Ordinal)) continue;
            using var content = assembly.GetManifestResourceStream(name)!;
            using var copy = new MemoryStream();
            content.CopyTo(copy);
            var bytes = copy.ToArray();
            var hash = Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 12));
            files.Add(name[Prefix.Length..].Replace('\\', '/'), (bytes, $"\"{hash}\""));
        }

        return files.ToFrozenDictionary(StringComparer.Ordinal);
    }
}
