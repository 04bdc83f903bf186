"""The demo's way into the console: one steward with a password that is new at every start."""

from dujiang.wiring import Services

USER = "demo"


def let_in(services: Services) -> str:
    """Make the user, or give it another password; returns the password."""
    from gateway.console import passwords, users
    from gateway.console.rights import Role

    password = passwords.new_password()
    with services.connection() as connection, connection.cursor() as cursor:
        if any(row["user"] == USER for row in users.listed(cursor, connection.execute("SELECT now()").fetchall()[0][0])):
            users.give_password(cursor, USER, password, USER)
        else:
            users.add(cursor, USER, Role.STEWARD, password, USER)
    return password
