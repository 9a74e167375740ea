namespace Krewe.Silo.Gateway.Json;

internal sealed record ModelList(IReadOnlyList<ModelObject> Data)
{
    public string Object { get; } = "list";
}

/// <param name="Id">What clients call it.</param>
/// <param name="Created">Unix seconds.</param>
/// <param name="MaxModelLen">Tokens of prompt and output together; clients made for vLLM read it.</param>
internal sealed record ModelObject(string Id, long Created, string OwnedBy, string Root, int MaxModelLen)
{
    public string Object { get; } = "model";
}
