namespace Krewe.Grains;

/// <summary>Which records of ended requests are kept in storage.</summary>
public interface IRecordRetention
{
    /// <summary>Records that are kept now.</summary>
    int Count { get; }

    /// <summary>A request's last record was written.</summary>
    /// <returns>The request whose record must make room for it; null while there is room.</returns>
    string? Keep(string requestId);
}
