using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Krewe.Abstractions;
using Krewe.Control.Access;
using Krewe.Silo.Access;
using Krewe.Silo.Gateway;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace Krewe.Silo.Batches;

/// <summary>/v1/files: the input and output of batches. A tenant sees its own.</summary>
internal sealed class FileEndpoints(StoredFiles files, SiloOptions options)
{
    private const string Purpose = "batch";

    /// <summary>Largest file.</summary>
    private const long FileBytesMax = 100L << 20;

    /// <summary>Headers and the other fields of a form.</summary>
    private const long FormBytesMax = 1 << 20;

    private const int NameCharsMax = 255;

    public void Map(IEndpointRouteBuilder routes)
    {
        var clients = routes.MapGroup("").RequireRole(AccessRoles.Inference);
        clients.MapPost("/v1/files", (RequestDelegate)UploadAsync);
        clients.MapGet("/v1/files", (RequestDelegate)ListAsync);
        clients.MapGet("/v1/files/{id}", (RequestDelegate)GetAsync);
        clients.MapDelete("/v1/files/{id}", (RequestDelegate)DeleteAsync);
        clients.MapGet("/v1/files/{id}/content", (RequestDelegate)ContentAsync);
    }

    private async Task UploadAsync(HttpContext context)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
            size.MaxRequestBodySize = FileBytesMax + FormBytesMax;
        StoredFile? file = null;
        string? purpose = null;
        try
        {
            var reader = new MultipartReader(BoundaryOf(context.Request), context.Request.Body);
            while (await reader.ReadNextSectionAsync(context.RequestAborted) is { } section)
            {
                var field = section.GetContentDispositionHeader();
                var name = HeaderUtilities.RemoveQuotes(field?.Name ?? "").Value;
                if (name == "purpose")
                {
                    using var text = new StreamReader(section.Body);
                    purpose = (await text.ReadToEndAsync(context.RequestAborted)).Trim();
                }
                else if (name == "file" && file is null)
                {
                    file = await files.CreateAsync(context.Caller().Tenant.Name, NameOf(field!), Purpose);
                    var lineMax = (int)Math.Min(int.MaxValue, options.MaxRequestBytes);
                    file = await files.FillAsync(file, section.Body, FileBytesMax, lineMax, context.RequestAborted);
                }
            }

            if (file is null) throw Wrong("The form has no 'file'; send the JSON lines as a file.", "file");
            if (purpose != Purpose)
            {
                throw Wrong(
                    $"'purpose' is '{purpose}'; this server keeps files for batches only: '{Purpose}'.", "purpose");
            }

            await files.ShelfOf(file.Tenant).PutFileAsync(file);
        }
        catch (Exception e)
        {
            if (file is not null) await files.Grain(file.FileId).DeleteAsync();
            if (e is InvalidDataException or (IOException and not BadHttpRequestException))
            {
                throw new KreweException(
                    ErrorCode.InvalidRequest, $"The form could not be read: {e.Message}", "file", e);
            }

            throw;
        }

        await WriteAsync(context, FileObject.Of(file), BatchJson.Default.FileObject);
    }

    private async Task ListAsync(HttpContext context)
    {
        var page = ListPage.Read(context.Request);
        var shelf = await files.ShelfOf(context.Caller().Tenant.Name).GetAsync();
        var all = shelf.Files.AsEnumerable();
        if (context.Request.Query["purpose"] is [{ Length: > 0 } purpose])
            all = all.Where(file => file.Purpose == purpose);
        if (context.Request.Query["order"] != "asc") all = all.Reverse();
        var (items, hasMore) = page.Of(all.Select(FileObject.Of), file => file.Id);
        await WriteAsync(
            context,
            new FileList("list", items, items.FirstOrDefault()?.Id, items.LastOrDefault()?.Id, hasMore),
            BatchJson.Default.FileList);
    }

    private async Task GetAsync(HttpContext context) =>
        await WriteAsync(context, FileObject.Of(await DemandAsync(context)), BatchJson.Default.FileObject);

    private async Task DeleteAsync(HttpContext context)
    {
        var file = await DemandAsync(context);
        await files.DeleteAsync(file);
        await WriteAsync(context, new DeletedFile(file.FileId, "file", true), BatchJson.Default.DeletedFile);
    }

    private async Task ContentAsync(HttpContext context)
    {
        var file = await DemandAsync(context);
        context.Response.ContentType = "application/jsonl";
        context.Response.ContentLength = file.Bytes;
        for (var i = 0; i < file.Parts; i++)
        {
            var text = await files.ReadPartAsync(file.FileId, i);
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(text), context.RequestAborted);
        }
    }

    private Task<StoredFile> DemandAsync(HttpContext context) =>
        files.DemandAsync((string)context.Request.RouteValues["id"]!, context.Caller().Tenant);

    private static string BoundaryOf(HttpRequest request)
    {
        var isForm = MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
            && type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase);
        var boundary = isForm ? HeaderUtilities.RemoveQuotes(type!.Boundary).Value : null;
        return string.IsNullOrEmpty(boundary)
            ? throw new KreweException(
                ErrorCode.UnsupportedMediaType,
                $"The Content-Type is '{request.ContentType}'; send the file as multipart/form-data.")
            : boundary;
    }

    private static string NameOf(ContentDispositionHeaderValue field)
    {
        var name = HeaderUtilities.RemoveQuotes(
            field.FileNameStar.HasValue ? field.FileNameStar : field.FileName).Value;
        return name is { Length: > 0 and <= NameCharsMax } ? name : "input.jsonl";
    }

    private static KreweException Wrong(string message, string field) =>
        new(ErrorCode.InvalidRequest, message, field);

    private static Task WriteAsync<T>(HttpContext context, T value, JsonTypeInfo<T> type) =>
        ErrorWriter.WriteJsonAsync(context.Response, JsonSerializer.SerializeToUtf8Bytes(value, type));
}
