namespace Krewe.Silo.Gateway.Json;

/// <summary>OpenAI's error answer.</summary>
internal sealed record ErrorObject(ErrorDetail Error);

/// <param name="Message">Says what to change.</param>
/// <param name="Type">OpenAI's class of error.</param>
/// <param name="Param">The field that is wrong; null when none is.</param>
/// <param name="Code">snake_case, of the error catalog.</param>
internal sealed record ErrorDetail(string Message, string Type, string? Param, string Code);
