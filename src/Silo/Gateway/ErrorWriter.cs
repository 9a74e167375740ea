using System.Globalization;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Json;
using Krewe.Silo.Gateway.Messages;
using Microsoft.AspNetCore.Http;

namespace Krewe.Silo.Gateway;

/// <summary>Errors as OpenAI's error object, with the status of the catalog.</summary>
internal static class ErrorWriter
{
    /// <summary>For refusals that do not know better: a restarted worker is back by then.</summary>
    private const int RetryAfterSecondsDefault = 2;

    /// <summary>Below it errors have the shape of Anthropic's API.</summary>
    private const string MessagesPath = "/v1/messages";

    public static ErrorObject ToObject(KreweException error)
    {
        var info = ErrorCatalog.Describe(error.Code);
        return new ErrorObject(new ErrorDetail(error.Message, info.Type, error.Parameter, info.Code));
    }

    public static AnswerEvent ToEvent(KreweException error) =>
        new(JsonSerializer.SerializeToUtf8Bytes(ToObject(error), GatewayJson.Instance.ErrorObject));

    public static async Task WriteAsync(HttpContext context, KreweException error)
    {
        var status = ErrorCatalog.Describe(error.Code).HttpStatus;
        var response = context.Response;
        response.StatusCode = status;
        if (error.RetryAfter is { } delay) SetRetryAfter(response, delay);
        if (status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable
            && response.Headers.RetryAfter.Count == 0)
            SetRetryAfter(response, TimeSpan.FromSeconds(RetryAfterSecondsDefault));
        await WriteJsonAsync(response, context.Request.Path.StartsWithSegments(MessagesPath, StringComparison.Ordinal)
            ? MessagesFormat.Error(error).ToBytes()
            : JsonSerializer.SerializeToUtf8Bytes(ToObject(error), GatewayJson.Instance.ErrorObject));
    }

    private static void SetRetryAfter(HttpResponse response, TimeSpan delay) =>
        response.Headers.RetryAfter = Math.Ceiling(delay.TotalSeconds).ToString(CultureInfo.InvariantCulture);

    public static async Task WriteJsonAsync(HttpResponse response, byte[] json)
    {
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = json.Length;
        await response.Body.WriteAsync(json, response.HttpContext.RequestAborted);
    }
}
