using System.Text.Json;
using System.Text.Unicode;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Admission;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>
/// Reads a request's body and its JSON object. Whatever a client sends, it gets an answer that says what is wrong.
/// </summary>
internal static class RequestBody
{
    /// <summary>Deeper nesting is no request of this API and would cost stack.</summary>
    private const int DepthMax = 64;

    /// <summary>Where a body of unknown length starts to grow from.</summary>
    private const int InitialBytes = 16 << 10;

    public static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpContext context)
    {
        if (!context.Request.HasJsonContentType())
        {
            throw new KreweException(
                ErrorCode.UnsupportedMediaType,
                $"The Content-Type is '{context.Request.ContentType}'; send the request as application/json.");
        }

        var share = context.RequestServices.GetRequiredService<BodyMemory>().Open(context);
        using var bytes = new MemoryStream((int)Math.Min(context.Request.ContentLength ?? InitialBytes, 1 << 20));
        var body = context.Request.BodyReader;
        try
        {
            while (true)
            {
                var read = await body.ReadAsync(context.RequestAborted);
                share.Add((int)read.Buffer.Length);
                foreach (var part in read.Buffer) bytes.Write(part.Span);
                body.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) break;
            }
        }
        catch (Exception e) when (e is not (BadHttpRequestException or OperationCanceledException or KreweException))
        {
            // Chunks that are none, or a connection that closes in the middle of one.
            throw new KreweException(
                ErrorCode.InvalidRequest, $"The body could not be read to its end: {e.Message}", innerException: e);
        }

        return bytes.GetBuffer().AsMemory(0, (int)bytes.Length);
    }

    /// <summary>The object of a body, whose bytes must stay as they are while it is used.</summary>
    public static JsonDocument Parse(ReadOnlyMemory<byte> bytes)
    {
        if (bytes.IsEmpty) throw new KreweException(ErrorCode.InvalidJson, "The body is empty; send a JSON object.");
        // The parser leaves strings unchecked until somebody asks for them.
        if (!Utf8.IsValid(bytes.Span))
            throw new KreweException(ErrorCode.InvalidJson, "The body is not valid UTF-8; encode the JSON as UTF-8.");
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(bytes, new JsonDocumentOptions { MaxDepth = DepthMax });
        }
        catch (JsonException e)
        {
            throw new KreweException(
                ErrorCode.InvalidJson, $"The body is not valid JSON: {e.Message}", innerException: e);
        }

        if (document.RootElement.ValueKind == JsonValueKind.Object) return document;
        document.Dispose();
        throw new KreweException(ErrorCode.InvalidJson, "The body is JSON but not an object; send {\"model\": ...}.");
    }
}
