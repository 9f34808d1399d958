"""The address that a setting holds, refused under the name of that setting."""

from app.database.url import BadDatabaseUrl, DatabaseUrl


def usable(text: str, name: str) -> DatabaseUrl:
    """Read the URL of the setting ``name``, files included. Raises BadDatabaseUrl with that name.

    Nothing is connected to.
    """
    try:
        url = DatabaseUrl.parse(text)
        url.connect_args()
    except BadDatabaseUrl as bad:
        raise BadDatabaseUrl(bad.reason, name) from None
    return url
