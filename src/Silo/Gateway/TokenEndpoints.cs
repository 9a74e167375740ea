using System.Text;
using System.Text.Json.Nodes;
using Krewe.Silo.Gateway.Json;
using Krewe.Silo.Gateway.Messages;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Hosting;
using Microsoft.AspNetCore.Http;

namespace Krewe.Silo.Gateway;

/// <summary>The endpoints that only turn text into tokens and back, as vLLM and Anthropic have them.</summary>
internal sealed class TokenEndpoints(RequestReader reader, ServedModel model)
{
    /// <summary>POST /tokenize: a prompt, or messages through the chat template.</summary>
    public async Task TokenizeAsync(HttpContext context)
    {
        using var body = RequestBody.Parse(await RequestBody.ReadAsync(context));
        var (tokens, wantsStrings) = RequestReader.Checked(body, root => (
            reader.ReadTokens(root), root.Find("return_token_strs")?.AsBool() ?? false));
        var strings = wantsStrings
            ? new JsonArray([.. tokens.Select(token => (JsonNode)TextOf(token))])
            : null;
        await WriteAsync(context, new JsonObject
        {
            ["count"] = tokens.Length,
            ["max_model_len"] = model.MaxContextTokens,
            ["tokens"] = new JsonArray([.. tokens.Select(token => (JsonNode)token)]),
            ["token_strs"] = strings,
        });
    }

    /// <summary>POST /detokenize: the exact text of token ids.</summary>
    public async Task DetokenizeAsync(HttpContext context)
    {
        using var body = RequestBody.Parse(await RequestBody.ReadAsync(context));
        var tokens = RequestReader.Checked(body, root =>
        {
            reader.DemandModel(root);
            return TokenIds.Read(root.Required("tokens"), model.Folder.Config.VocabularySize);
        });
        await WriteAsync(context, new JsonObject
        {
            ["prompt"] = model.Folder.Tokenizer.Decode(tokens.AsSpan(), skipSpecialTokens: false),
        });
    }

    /// <summary>POST /v1/messages/count_tokens.</summary>
    public async Task CountAsync(HttpContext context)
    {
        using var body = RequestBody.Parse(await RequestBody.ReadAsync(context));
        using var chat = ChatTranslation.Translate(body, root =>
            MessagesRequest.ToChat(root, thinks: false, counts: true));
        var tokens = RequestReader.Checked(chat, reader.ReadTokens);
        await WriteAsync(context, new JsonObject { ["input_tokens"] = tokens.Length });
    }

    private string TextOf(int token) => Encoding.UTF8.GetString(model.Folder.Tokenizer.TokenBytes(token));

    private static Task WriteAsync(HttpContext context, JsonObject answer) =>
        ErrorWriter.WriteJsonAsync(context.Response, answer.ToBytes());
}
